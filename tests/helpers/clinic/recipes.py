"""Recipes, so that two of them can be compared."""

import torch


def describe(recipe):
    """A recipe as plain values that can be compared."""
    parts = {name: value for name, value in vars(recipe).items() if name != "optimized"}
    parts["optimizes its model"] = recipe.optimized is recipe.model
    parts["weights"] = [p.double().sum().item() for p in recipe.model.parameters()]
    parts["model"] = repr(recipe.model)
    return {
        name: (tuple(value.shape), value.double().sum().item(), value.flatten()[::97].tolist())
        if isinstance(value, torch.Tensor)
        else value
        for name, value in parts.items()
    }
