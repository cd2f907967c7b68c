"""The small convolutional network that every chapter trains and draws."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from helpers.data import make_loader

IMAGE_SHAPE = (1, 28, 28)
"""Channels, height and width of one input image."""


class ConvNet(nn.Module):
    """Two convolutions, two hidden fully connected layers, ten logits.

    Shapes, for a batch of N images:

    ======== ============================ ================
    module   layers                       output shape
    ======== ============================ ================
    input                                 (N, 1, 28, 28)
    conv1    3x3 conv, ReLU, average pool (N, 16, 14, 14)
    conv2    3x3 conv, ReLU, max pool     (N, 32, 7, 7)
             flatten                      (N, 1568)
    fc       linear, ReLU, linear, ReLU   (N, 64)
    out      linear                       (N, 10)
    ======== ============================ ================

    Parameters: 214,538 in 10 tensors. Works in contiguous and in channels-last memory.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(
            nn.Conv2d(1, 16, kernel_size=3, padding=1), nn.ReLU(), nn.AvgPool2d(2)
        )
        self.conv2 = nn.Sequential(
            nn.Conv2d(16, 32, kernel_size=3, padding=1), nn.ReLU(), nn.MaxPool2d(2)
        )
        self.fc = nn.Sequential(
            nn.Linear(32 * 7 * 7, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU()
        )
        self.out = nn.Linear(64, 10)

    def forward(self, images: Tensor) -> Tensor:
        """Logits, float32 (N, 10), of float32 images (N, 1, 28, 28) in [0, 1].

        Raises ValueError for images of another shape.
        """
        # A shape test inside torch.jit.trace would only record a warning.
        if not torch.jit.is_tracing() and images.shape[1:] != IMAGE_SHAPE:
            raise ValueError(
                f"ConvNet expects a batch of shape (N, 1, 28, 28), got {tuple(images.shape)}. "
                "One image (1, 28, 28) becomes a batch with images.unsqueeze(0)."
            )
        x = self.conv1(images)
        x = self.conv2(x)
        x = x.flatten(1)
        x = self.fc(x)
        return self.out(x)


class Score(NamedTuple):
    """How a model does on a dataset: the mean cross-entropy in nats, the share right in [0, 1]."""

    loss: float
    accuracy: float


def accuracy(model: nn.Module, dataset: Dataset, batch_size: int = 125) -> float:
    """Share of a dataset's images, in [0, 1], whose largest logit is at their label.

    All else is as for ``loss_and_accuracy``.
    """
    return loss_and_accuracy(model, dataset, batch_size).accuracy


def loss_and_accuracy(model: nn.Module, dataset: Dataset, batch_size: int = 125) -> Score:
    """Mean cross-entropy over a dataset's images, and the share of them answered right.

    ``dataset`` yields images and int64 labels, like ``load_dataset().test``; each batch goes to
    the device that the model is on. The model is put in evaluation mode for the count and left in
    the mode it had, module by module. No autograd graph is built. Batches of 125 are about twice
    as fast on a CPU as batches of 1,000, because what the first convolution writes then stays in
    the cache.

    Raises ValueError if the dataset is empty.
    """
    if len(dataset) == 0:
        raise ValueError("accuracy of an empty dataset is undefined: give it at least one image")
    device = next(model.parameters()).device
    was_training = {module: module.training for module in model.modules()}
    model.eval()
    loss = right = 0
    try:
        with torch.inference_mode():
            for images, labels in make_loader(dataset, batch_size, shuffle=False):
                logits, labels = model(images.to(device)).float(), labels.to(device)
                loss += nn.functional.cross_entropy(logits, labels, reduction="sum").item()
                right += (logits.argmax(1) == labels).sum().item()
    finally:
        for module, mode in was_training.items():
            module.training = mode
    return Score(loss / len(dataset), right / len(dataset))
