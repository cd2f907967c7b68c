"""One training of the course's ConvNet, with every part of it open to be changed."""

import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import TensorDataset

from helpers.clinic.chart import Chart, Record, read_chart
from helpers.data import load_dataset, make_loader
from helpers.model import ConvNet


class Recipe:
    """What a training is made of. These are the healthy values; an illness changes one of them.

    ======================== ==========================================================
    ``model``                a new ConvNet whose weights are drawn for ReLUs (He et al., 2015)
    ``images``, ``labels``   2,000 training digits, float32 (N, 1, 28, 28) in [0, 1], int64 (N,)
    ``test_images``, ...     500 test digits
    ``batch_size, epochs``   40 images a step, 5 epochs: 250 steps
    ``shuffle``              whether each epoch has an order of its own
    ``optimized``            the module whose parameters the optimizer gets: ``model``
    ``learning_rate``, ...   of stochastic gradient descent, with ``momentum``, ``weight_decay``
    ``zero_grad``            whether the gradients are set to zero before each backward pass
    ``schedule_each``        what multiplies the learning rate by 0.7: "epoch" or "batch"
    ``eval_mode``            whether test images are answered in evaluation mode
    ======================== ==========================================================

    ``seed`` sets torch's random state, from which come the weights and all else.
    """

    def __init__(self, seed: int = 0) -> None:
        torch.manual_seed(seed)
        self.seed = seed
        data = load_dataset()
        self.images, self.labels = (part[:2000].clone() for part in data.train.tensors)
        self.test_images, self.test_labels = (part[:500].clone() for part in data.test.tensors)
        self.batch_size, self.epochs = 40, 5
        self.shuffle = True

        self.model = ConvNet()
        self.model.apply(draw_weights)
        self.optimized = self.model
        self.learning_rate = 0.05
        self.momentum = 0.9
        self.weight_decay = 0.0005
        self.zero_grad = True
        self.schedule_each = "epoch"
        self.eval_mode = True


def draw_weights(layer: nn.Module) -> None:
    """New weights for a layer in front of a ReLU, and biases of 0; for ``model.apply``."""
    if isinstance(layer, nn.Conv2d | nn.Linear):
        nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
        nn.init.zeros_(layer.bias)


def train(
    recipe: Recipe,
    folder: Path | str,
    clock: Callable[[], float] = time.time,
    device: torch.device | str = "cpu",
) -> Record:
    """Train by the recipe, some seconds on one core, and return the chart written to ``folder``.

    The model is moved to ``device``, and stays there.

    Raises FileExistsError if ``folder`` already holds a chart.
    """
    model = recipe.model.to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(
        recipe.optimized.parameters(),
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
    )
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.7)
    training = TensorDataset(recipe.images, recipe.labels)
    loader = make_loader(training, recipe.batch_size, recipe.shuffle, seed=recipe.seed)
    test = TensorDataset(recipe.test_images, recipe.test_labels)

    with Chart(folder, model, test, eval_mode=recipe.eval_mode, clock=clock) as chart:
        for _ in range(recipe.epochs):
            for images, labels in loader:
                images, labels = images.to(device), labels.to(device)
                logits = model(images)
                loss = nn.functional.cross_entropy(logits, labels)
                if recipe.zero_grad:
                    optimizer.zero_grad()
                loss.backward()
                chart.log(images, labels, logits, loss)
                optimizer.step()
                if recipe.schedule_each == "batch":
                    scheduler.step()
            if recipe.schedule_each == "epoch":
                scheduler.step()
    return read_chart(folder)
