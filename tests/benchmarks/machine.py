"""What a benchmark ran on: the machine, and the largest dataset that can be had without asking."""

import os
import platform
from dataclasses import dataclass

import torch
import torchvision

from helpers import data


@dataclass
class Full:
    """A dataset's name here, and its class in torchvision."""

    name: str
    torchvision_class: type


def _largest() -> Full:
    if data.is_complete(data.DATA_DIR / "MNIST" / "raw"):
        return Full("mnist", torchvision.datasets.MNIST)
    fashion = (data.DATA_DIR / "FashionMNIST" / "raw", data.DEBIAN_FASHION_DIR)
    if any(data.is_complete(folder) for folder in fashion):
        return Full("fashion-mnist", torchvision.datasets.FashionMNIST)
    return Full("mnist-sample", torchvision.datasets.MNIST)


DATASET = _largest()


def describe_machine() -> str:
    """One line: processor, cores, threads, load, versions."""
    model = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo") as file:
            names = [line.split(":")[1].strip() for line in file if line.startswith("model name")]
        model = names[0] if names else model
    return (
        f"{model}, {os.cpu_count()} cores, {torch.get_num_threads()} threads, "
        f"load {os.getloadavg()[0]:.1f}; Python {platform.python_version()}, "
        f"torch {torch.__version__}"
    )
