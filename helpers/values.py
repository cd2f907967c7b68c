"""Numbers on their way into a picture, whatever they come as: what every tool does first."""

import numpy as np


def plain(value: object) -> object:
    """Tensors as arrays, at every depth of lists, tuples and dictionaries; the rest as it is.

    A tensor may be on any device, need gradients, and have a dtype that NumPy lacks. Floats of
    fewer than 32 bits become float32, in which each of them is exact. An array may share its
    memory with its tensor.
    """
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "detach"):
        value = value.detach()
        if value.dtype.is_floating_point and value.dtype.itemsize < 4:
            value = value.float()
        value = value.cpu().resolve_conj().resolve_neg().numpy()
    if isinstance(value, np.ndarray | np.generic) and value.dtype == np.float16:
        value = value.astype(np.float32)
    return value


def bin_edges(values: np.ndarray, bins: int) -> np.ndarray:
    """The edges, float64 (bins + 1,), of bins that hold all of some finite numbers.

    NumPy's own refuse numbers that are closer together than their dtype can cut into bins, and
    overflow where numbers are huge. Here numbers that float32 hardly tells apart stand in the
    middle of a range around them, and no numbers at all have bins around 0.
    """
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
    least = float(np.finfo(np.float32).eps) * max(abs(low), abs(high))
    if high / 2 - low / 2 <= least / 2:
        low, high = low - (least or 0.5), high + (least or 0.5)
    limit = np.finfo(float).max
    place = np.linspace(0, 1, bins + 1)
    return (1 - place) * max(low, -limit) + place * min(high, limit)
