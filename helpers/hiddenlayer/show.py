"""hiddenlayer's two functions for a quick look, mended: ``write`` and ``show_images``."""

from collections.abc import Sequence

import hiddenlayer
import numpy as np

from helpers.values import plain


def write(*things: object) -> None:
    """Print like ``print``, but of a tensor or an array its dtype, shape, smallest and largest.

    ``write("images", images)`` prints ``images  Tensor  float32 (128, 1, 28, 28)  min: 0.000
    max: 1.000``. As in hiddenlayer 0.3, an array ends its line.
    """
    line = []
    for thing in map(plain, things):
        if isinstance(thing, np.ndarray) and thing.ndim:
            line.append(f"Tensor  {thing.dtype} {thing.shape}")
            if thing.size and thing.dtype.kind in "biuf":
                line.append(f"min: {float(thing.min()):.3f}  max: {float(thing.max()):.3f}")
            print("  ".join(line))
            line = []
        elif isinstance(thing, list):
            line.append(f"list  len: {len(thing)}  {thing[:10]}")
        else:
            line.append(str(thing))
    if line:
        print("  ".join(line))


def show_images(
    images: Sequence[object], titles: Sequence[str] | None = None, cols: int = 5, **options: object
) -> None:
    """hiddenlayer's ``show_images``, for tensors too: a grid of pyplot images, ``cols`` in a row.

    An image is (height, width), or a list of such, which are put side by side. Each is drawn in
    grey from its smallest value to its largest; ``options`` go to matplotlib's ``imshow``.
    """
    hiddenlayer.show_images(plain(list(images)), titles, cols, **options)
