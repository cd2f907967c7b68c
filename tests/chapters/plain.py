"""The course's training as a plain loop, without logs, pictures and helpers that do the counting.

The chapters' curves and the solutions are held against it.
"""

import functools
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from helpers.data import load_dataset, make_loader
from helpers.model import ConvNet


@dataclass
class Training:
    """What a training gave: the loss of each step; at each log entry the rest."""

    model: nn.Module
    losses: list[float] = field(default_factory=list)
    means: list[float] = field(default_factory=list)
    right: list[float] = field(default_factory=list)
    right_in_training: list[float] = field(default_factory=list)
    test_losses: list[float] = field(default_factory=list)
    train_losses: list[float] = field(default_factory=list)
    weights: list[np.ndarray] = field(default_factory=list)
    gradients: list[np.ndarray] = field(default_factory=list)


def share_right(model: nn.Module, part: str = "test") -> float:
    """Accuracy on all test images, or on as many training images."""
    images, labels = (tensor[:2000] for tensor in getattr(load_dataset(), part).tensors)
    with torch.no_grad():
        answers = torch.cat([model(part).argmax(1) for part in images.split(250)])
    return (answers == labels).double().mean().item()


def mean_loss(model: nn.Module, part: str = "test", chosen: slice = slice(None)) -> float:
    """Mean cross-entropy over the images of a part."""
    images, labels = (tensor[chosen] for tensor in getattr(load_dataset(), part).tensors)
    with torch.no_grad():
        logits = torch.cat([model(piece) for piece in images.split(250)])
    return nn.functional.cross_entropy(logits, labels).item()


@functools.cache
def overfit(seed: int, epochs: int) -> dict:
    """Chapter 2's training on 200 images: the model, and by part the loss after each epoch."""
    torch.manual_seed(seed)
    model = ConvNet().to(memory_format=torch.channels_last)
    images, labels = (tensor[:200] for tensor in load_dataset().train.tensors)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    kept = {"model": model, "train": [], "validation": []}
    loader = make_loader(TensorDataset(images, labels), 40, seed=seed)
    for _ in range(epochs):
        for some, truth in loader:
            loss = nn.functional.cross_entropy(model(some), truth)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        kept["train"].append(mean_loss(model, "train", slice(200)))
        kept["validation"].append(mean_loss(model, "train", slice(200, 700)))
    return kept


@functools.cache
def train(
    rate: float,
    seed: int,
    steps: int,
    batch_size: int = 128,
    log_every: int = 0,
    each_epoch: bool = False,
    skip: int = 0,
) -> Training:
    """Train a new ConvNet with Adam for so many steps.

    A log entry is made every ``log_every`` steps, counted anew in each epoch with ``each_epoch``.
    ``skip`` is how many epochs' orders the loader has given away before.
    """
    torch.manual_seed(seed)
    training = Training(ConvNet().to(memory_format=torch.channels_last))
    loader = make_loader(load_dataset().train, batch_size, seed=seed)
    for _ in range(skip):
        next(iter(loader))
    optimizer = torch.optim.Adam(training.model.parameters(), lr=rate)
    since = 0
    while len(training.losses) < steps:
        for step, (images, labels) in enumerate(loader, start=1):
            loss = nn.functional.cross_entropy(training.model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            training.losses.append(loss.item())
            if log_every and (step if each_epoch else len(training.losses)) % log_every == 0:
                watched: Tensor = training.model.fc[2].weight
                training.means.append(float(np.mean(training.losses[since:])))
                training.right.append(share_right(training.model))
                training.right_in_training.append(share_right(training.model, "train"))
                training.test_losses.append(mean_loss(training.model))
                training.train_losses.append(mean_loss(training.model, "train", slice(2000)))
                training.weights.append(watched.detach().numpy().copy())
                training.gradients.append(watched.grad.numpy().copy())
                since = len(training.losses)
            if len(training.losses) == steps:
                break
    return training


def of_run(run, **more) -> Training:
    """The training of a chapter's run, from its parameters."""
    chosen = run.parameters
    batches = -(-len(load_dataset().train) // chosen["batch_size"])
    return train(
        chosen["learning_rate"],
        chosen["seed"],
        chosen["epochs"] * batches,
        chosen["batch_size"],
        chosen["log_every"],
        **more,
    )
