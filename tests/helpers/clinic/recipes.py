"""Recipes, so that two of them can be compared."""

import torch

from helpers.clinic import ILLNESSES, Recipe, cured_recipe, ill_recipe
from tests.records.says import row


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


def lines(recipe):
    """A recipe as text, for a record."""
    said = []
    for name, value in describe(recipe).items():
        if name == "weights":
            said.append(f"{name} ~ {row(value)}")
        elif isinstance(value, tuple):
            shape, total, some = value
            mark = ":" if isinstance(some[0], int) else " ~"
            said.append(f"{name}: {shape}")
            said.append(f"{name}, sum{mark} {total:g}")
            said.append(f"{name}, some{mark} {row(some[:: len(some) // 12 + 1])}")
        else:
            said += [f"{name}: {line}" for line in str(value).split("\n")]
    return said


def record():
    """The healthy recipe, and what each illness and each cure makes otherwise."""
    healthy = lines(Recipe())
    said = ["## healthy", *healthy]
    for illness in ILLNESSES:
        for state, make in (("ill", ill_recipe), ("cured", cured_recipe)):
            other = [line for line in lines(make(illness)) if line not in healthy]
            said += ["", f"## {illness.patient}, {state}: {illness.name}", *other]
    return "\n".join(said)
