"""How far apart two colours are, for readers with and without colour blindness."""

import itertools
from collections.abc import Iterable

import numpy as np

# What a dichromat sees of a colour, in linear RGB: Machado, Oliveira and Fernandes, A
# physiologically-based model for simulation of color vision deficiency, 2009, at severity 1.
KINDS = {
    "full colour vision": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}

APART = 15
"""CIELAB units between colours that one tells apart at a glance; 2 or 3 are just noticeable."""


def lab(color: str | tuple, kind: str = "full colour vision") -> np.ndarray:
    """CIELAB (3,) of a colour, "#rrggbb" or RGB in [0, 1], as seen with a kind of vision."""
    if isinstance(color, str):
        color = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    rgb = np.asarray(color)[:3]
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(np.asarray(KINDS[kind]) @ linear, 0, 1)
    to_xyz = [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
    xyz = to_xyz @ linear / [0.95047, 1, 1.08883]  # relative to white, D65
    x, y, z = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def closest(colors: Iterable[str], kind: str) -> float:
    """The smallest distance between two of some colours."""
    return min(
        np.linalg.norm(lab(one, kind) - lab(other, kind))
        for one, other in itertools.combinations(set(colors), 2)
    )
