"""How much two pictures are of the same thing."""

import numpy as np
from PIL import Image

GRID = 24
"""Fields in a row and in a column that a picture is looked at by."""


def fields(picture: Image.Image) -> np.ndarray:
    """A picture's last frame as GRID x GRID colours, each field's mean."""
    picture.seek(getattr(picture, "n_frames", 1) - 1)
    small = picture.convert("RGB").resize((GRID, GRID), Image.Resampling.BOX)
    return np.asarray(small, float).reshape(-1)


def likeness(one: Image.Image, other: Image.Image) -> float:
    """The correlation of two pictures, 1 for the same and around 0 for two that have nothing in
    common; -1 if they aren't of one shape. Fonts and a line that is a little different don't
    count for much."""
    ratios = [picture.width / picture.height for picture in (one, other)]
    if abs(ratios[0] / ratios[1] - 1) > 0.1:
        return -1.0
    a, b = (fields(picture) - fields(picture).mean() for picture in (one, other))
    size = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / size) if size else float(np.array_equal(a, b))
