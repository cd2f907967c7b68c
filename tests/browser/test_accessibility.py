"""What readers need who see other colours, print in grey, or have the page read to them."""

import itertools
import re

import nbformat
import numpy as np
import pytest
from matplotlib import colormaps

from helpers.hiddenlayer.panels import COLORS, DASHES, MARKERS
from tests.browser.axe import serious_findings
from tests.browser.conftest import open_converted
from tests.browser.vision import APART, KINDS, closest, lab
from tests.conftest import CHAPTERS, ROOT

chapters = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)

NEEDS_NO_COLOR = {
    "multiply-adds": "three panels side by side, each with its title",
    "Rectangle(": "dots, and a frame around some of them",
}
"""Part of a cell's source, and why its colours needn't differ in grey."""


def test_the_measure_knows_red_from_green_and_who_does_not():
    assert closest({"#ff0000", "#00ff00"}, "full colour vision") > 150
    assert closest({"#ff7f0e", "#2ca02c"}, "protanopia") < 5  # Plotly's second and third
    assert lab("#ffffff") == pytest.approx([100, 0, 0], abs=0.01)
    assert lab("#0000ff") == pytest.approx([32.3, 79.2, -107.9], abs=0.1)


def sources() -> list[str]:
    """The source of every chapter's code cells."""
    return [
        cell.source
        for path in CHAPTERS
        for cell in nbformat.read(path, as_version=4).cells
        if cell.cell_type == "code"
    ]


def figures() -> list[str]:
    """Those that name at least two colours."""
    return [source for source in sources() if len(set(hex_colors(source))) > 1]


def hex_colors(source: str) -> list[str]:
    return re.findall(r"#[0-9A-Fa-f]{6}\b", source)


@pytest.mark.parametrize("kind", KINDS)
def test_colors_of_one_figure_stay_apart(kind):
    palettes = [set(COLORS), *(set(hex_colors(source)) for source in figures())]
    assert len(palettes) >= 4
    for palette in palettes:
        assert closest(palette, kind) > APART, palette


def test_lines_are_told_apart_in_grey_too():
    """By dashes, markers or widths, or by lightness where shapes are filled."""
    assert len(set(DASHES)) == len(set(MARKERS)) == len(COLORS)
    for source in figures():
        lightness = sorted(lab(color)[0] for color in set(hex_colors(source)))
        in_grey = min(np.diff(lightness)) > APART
        shapes = re.search(r"linestyle|dash|marker|linewidth=width|\"[ox.]\",|\"[os^D]-", source)
        listed = any(part in source for part in NEEDS_NO_COLOR)
        assert in_grey or shapes or listed, source


SEQUENTIAL = {"gray", "gray_r", "Blues", "viridis"}
DIVERGING = {"RdBu", "RdBu_r"}
"""From one colour over white to another: in grey a value's size is read, but not its sign."""


def test_color_maps_are_read_by_lightness():
    helpers = [path.read_text(encoding="utf-8") for path in (ROOT / "helpers").rglob("*.py")]
    named = set()
    for source in sources() + helpers:
        named |= set(re.findall(r"(?:cmap|colormap)=\"(\w+)\"", source))
        named |= {name for name in DIVERGING | SEQUENTIAL if f'"{name}"' in source}
    assert {"viridis", "RdBu"} <= named <= SEQUENTIAL | DIVERGING
    for name, kind in itertools.product(named, KINDS):
        lightness = [lab(color, kind)[0] for color in colormaps[name](np.linspace(0, 1, 21))]
        if name in SEQUENTIAL:
            steps = np.diff(lightness)
            assert (steps > 0).all() or (steps < 0).all(), name
            assert abs(lightness[-1] - lightness[0]) > 60
        else:
            assert (np.diff(lightness[:11]) > 0).all() and (np.diff(lightness[10:]) < 0).all()
            ends = [lab(colormaps[name](end), kind) for end in (0.1, 0.9)]
            assert np.linalg.norm(ends[0] - ends[1]) > 3 * APART


NOT_OURS = {
    ".jp-InputPrompt, .jp-OutputPrompt": "JupyterLab's grey for the numbers of cells",
    ".highlight": "JupyterLab's colours for code",
}
RULES_NOT_OURS = {
    "link-in-text-block": "JupyterLab's style doesn't underline links until one points at them",
}


@chapters
def test_axe_finds_nothing_serious_in_the_rendered_chapter(path, page, tmp_path):
    """The stored page as nbconvert renders it, without the scripts that it takes from elsewhere."""
    open_converted(path, page, tmp_path)
    assert serious_findings(page, list(NOT_OURS), list(RULES_NOT_OURS)) == []
