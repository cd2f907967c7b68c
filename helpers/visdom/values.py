"""Data on their way into a Visdom pane: any container and dtype in, what a browser can parse out.

One rule for NaN and infinity, for every drawing method and every kind of data, in Visdom 0.2.4
and 0.3.0 alike: where a gap can be drawn they are a gap, and anywhere else they are a ValueError
that names the method and the argument.
"""

import math

import numpy as np

from helpers.values import plain

GAPS = ("line", "scatter", "stem", "bar", "boxplot", "heatmap", "surf", "contour")
"""The methods that can draw a gap."""

TWO_OR_MORE = ("stem", "bar", "boxplot", "pie")
"""The methods in which Visdom drops the only axis of a single number."""

ROUNDING = 0.5 / 255
"""How far beyond [0, 1] an image's floats may lie: half a grey value."""


def numbers(method: str, name: str, value: object) -> object:
    """What a drawing method is given as data, checked: numbers as an array of at least one axis.

    NaN and infinity are NaN where the method draws a gap for it. Text is left as it is, and so
    is a list of dictionaries.

    Raises ValueError naming the method, the argument and what to do: for rows of different
    lengths, for complex numbers, for a single number where Visdom needs two, and for NaN and
    infinity where no gap can be drawn.
    """
    try:
        array = np.atleast_1d(value)
        if array.dtype == object:  # None stands for a gap too
            array = array.astype(float)
    except (TypeError, ValueError) as error:
        if "inhomogeneous" in str(error):
            raise ValueError(f"{method}: the rows of {name} differ in length") from None
        return value
    if array.dtype.kind not in "biufc":
        return value
    if array.dtype.kind == "c":
        raise ValueError(
            f"{method}: {name} holds complex numbers; draw {name}.real and {name}.imag, or abs()"
        )
    if array.size == 1 and name == "X" and method in TWO_OR_MORE:
        raise ValueError(f"{method}: X holds one number; Visdom needs two or more")
    if array.dtype.kind == "b":
        return array.astype(np.uint8)
    if array.dtype.kind != "f":
        return array
    finite = np.isfinite(array)
    if finite.all():
        return array
    if method in GAPS:
        return np.where(finite, array, np.nan)
    raise ValueError(
        f"{method}: {name} holds {np.count_nonzero(~finite)} NaN or infinite numbers, for which "
        f"no gap can be drawn here; leave them out, or replace them (torch.nan_to_num({name}))"
    )


def picture(method: str, name: str, value: object, stretch: bool = False) -> np.ndarray:
    """An image (C, H, W) or (H, W), or a batch of them (N, C, H, W), as floats in [0, 1].

    ``value`` may be floats in [0, 1] up to rounding, bool, or whole numbers from 0 to 255. With
    ``stretch``, any range is taken, and the smallest value becomes 0, the largest 1. C is 1, 3
    (red, green, blue) or 4 (and opacity); one channel becomes three.

    Raises ValueError naming what was wanted and what came.
    """
    array = numbers(method, name, value)
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu" or not array.size:
        raise ValueError(f"{method}: {name} must be an image of numbers, and not empty")
    if array.ndim not in ((2, 3) if method == "image" else (2, 3, 4)):
        raise ValueError(_layout(method, name, array.shape))
    if array.ndim > 2 and array.shape[-3] not in (1, 3, 4):
        raise ValueError(_layout(method, name, array.shape))
    if 1 in array.shape[-2:]:
        raise ValueError(
            f"{method}: {name} is {array.shape[-2]} x {array.shape[-1]} pixels, too thin to be "
            f"seen; draw it as a line or a heatmap, or repeat it: repeat_interleave({name}, 20, -2)"
        )
    low, high = array.min().item(), array.max().item()
    is_mask = np.asarray(value).dtype == bool
    if stretch:
        array = (array.astype(float) - low) / ((high - low) or 1)
    elif array.dtype.kind == "f":
        if low < -ROUNDING or high > 1 + ROUNDING:
            raise ValueError(
                f"{method}: {name} goes from {low:.4g} to {high:.4g}; wanted are floats in [0, 1] "
                "or bytes from 0 to 255. Undo a normalization first (times its standard "
                "deviation, plus its mean), divide by 255, or give opts=dict(normalize=True), "
                "which makes the smallest value black and the largest white."
            )
        array = array.clip(0, 1)
    elif not is_mask:
        if low < 0 or high > 255:
            raise ValueError(
                f"{method}: {name} goes from {low} to {high}; wanted are floats in [0, 1] or "
                "whole numbers from 0 to 255"
            )
        if high <= 1 and array.dtype != np.uint8:
            raise ValueError(
                f"{method}: {name} holds only 0 and 1, as {array.dtype}: for a mask, which is "
                "black and white, make it bool; for an image of bytes make it uint8"
            )
        array = array / 255
    if array.ndim == 2:
        array = array[None]
    return np.repeat(array, 3, axis=-3) if array.shape[-3] == 1 else array


def _layout(method: str, name: str, shape: tuple[int, ...]) -> str:
    wanted = "(channels, height, width) with 1, 3 or 4 channels, or (height, width)"
    if method != "image":
        wanted += ", or a batch (images, channels, height, width)"
    remedy = ""
    if len(shape) > 2 and shape[-1] in (1, 3, 4):
        order = (2, 0, 1) if len(shape) == 3 else (0, 3, 1, 2)
        remedy = (
            f". If the channels come last, put them first: permute{order}, or transpose in NumPy"
        )
    return f"{method}: {name} has the shape {shape}; wanted is {wanted}{remedy}"


def sendable(value: object) -> object:
    """A message as JSON can have it: NaN and infinity as null, NumPy's numbers as Python's."""
    if isinstance(value, float) and not isinstance(value, np.generic):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: sendable(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [sendable(item) for item in value]
    value = plain(value)
    return sendable(value.tolist()) if isinstance(value, np.ndarray | np.generic) else value
