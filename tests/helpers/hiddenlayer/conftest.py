"""A history to draw, and how pictures are looked at."""

import io

import numpy as np
import pytest
from PIL import Image

from helpers import hiddenlayer as hl


def decode(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def is_drawn(pixels):
    """White paper with something on it."""
    ink = (pixels < 250).any(axis=2).mean()
    return 0.005 < ink < 0.9 and len(np.unique(pixels.reshape(-1, 3), axis=0)) > 20


@pytest.fixture
def history():
    """Entries at three steps in two epochs, and a matrix at the last two only."""
    history = hl.History()
    history.log((1, 10), loss=2.5)
    history.log((1, 20), loss=1.25, matrix=np.arange(6.0).reshape(2, 3))
    history.log((2, 10), loss=0.123456, matrix=-np.arange(6.0).reshape(2, 3))
    return history
