"""Where a network trains: on the processor, or on a graphics card if there is one."""

import torch

DEVICES = ("auto", "cpu", "cuda", "mps")
"""What a chapter's parameter ``device`` may be."""


def choose_device(name: str = "auto") -> torch.device:
    """The ``torch.device`` of that name: "cpu", "cuda" (NVIDIA, AMD) or "mps" (Apple).

    "auto" takes what is there: cuda before mps, and the processor where there is neither.

    Raises ValueError for another name, and for a device that this machine doesn't have.
    """
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name not in DEVICES:
        raise ValueError(f"device must be one of {', '.join(map(repr, DEVICES))}, got {name!r}")
    if name == "auto":
        name = next(kind for kind, is_there in there.items() if is_there)
    if not there[name]:
        raise ValueError(
            f"device = {name!r}, and PyTorch finds no such device on this machine: write "
            'device = "auto", which takes what is there'
        )
    return torch.device(name)
