"""What readers need who see other colours, print in grey, or have the page read to them."""

import itertools
import re

import nbformat
import numpy as np
import pytest
from conftest import CHAPTERS, ROOT
from matplotlib import colormaps
from nbconvert import HTMLExporter

from browser.axe import axe_file
from helpers.canvas import COLORS, DASHES, MARKERS

chapters = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)

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

NEEDS_NO_COLOR = {
    "multiply-adds": "three panels side by side, each with its title",
    "Rectangle(": "dots, and a frame around some of them",
}
"""Part of a cell's source, and why its colours needn't differ in grey."""


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


def closest(colors: set[str], kind: str) -> float:
    """The smallest distance between two of some colours."""
    return min(
        np.linalg.norm(lab(one, kind) - lab(other, kind))
        for one, other in itertools.combinations(colors, 2)
    )


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
    """By dashes or markers, or by lightness where shapes are filled."""
    assert len(set(DASHES)) == len(set(MARKERS)) == len(COLORS)
    for source in figures():
        lightness = sorted(lab(color)[0] for color in set(hex_colors(source)))
        in_grey = min(np.diff(lightness)) > APART
        shapes = re.search(r"linestyle|dash|marker|\"[os^D]-", source)
        listed = any(part in source for part in NEEDS_NO_COLOR)
        assert in_grey or shapes or listed, source


SEQUENTIAL = {"gray", "gray_r", "Blues", "viridis"}
DIVERGING = {"RdBu", "RdBu_r"}
"""From one colour over white to another: in grey a value's size is read, but not its sign."""


def test_color_maps_are_read_by_lightness():
    helpers = [path.read_text(encoding="utf-8") for path in (ROOT / "helpers").glob("*.py")]
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
    nowhere = {f"{name}_url": "" for name in ("mathjax", "require_js", "jquery", "mermaid_js")}
    rendered, _ = HTMLExporter(template_name="lab", **nowhere).from_filename(str(path))
    (tmp_path / "chapter.html").write_text(rendered, encoding="utf-8")
    (tmp_path / "images").symlink_to(path.parent / "images")
    page.goto((tmp_path / "chapter.html").as_uri())
    page.add_script_tag(path=axe_file())
    result = page.evaluate(
        """([exclude, rules]) => axe.run(
            {exclude}, {rules: Object.fromEntries(rules.map(rule => [rule, {enabled: false}]))})""",
        [list(NOT_OURS), list(RULES_NOT_OURS)],
    )
    assert len(result["passes"]) > 10
    serious = [
        f"{violation['id']} ({violation['impact']}): {node['html'][:200]}"
        for violation in result["violations"]
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]
    assert serious == []
