"""What the README, the site and the slides say of each chapter, read from the chapters themselves.

A chapter needs no registration. Where its own opening is too long for a table, or its first
picture isn't its best, ``chapters.toml`` says so.
"""

import base64
import math
import re
import tomllib
from pathlib import Path
from typing import NamedTuple

import nbformat

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"

IMAGE = re.compile(r'<img src="([^"]+)" width="(\d+)" alt="([^"]+)">')
DRAWN = {"image/png": "png", "image/svg+xml": "svg"}


class Picture(NamedTuple):
    """A picture in a chapter: its bytes, "png" or "svg", what it shows, and where it stands.

    ``width`` is in CSS pixels, or None for what a cell drew. ``cell`` counts from 0; a picture in
    a cell's output is described by the heading above it.
    """

    content: bytes
    kind: str
    description: str
    width: int | None
    cell: int


class Chapter(NamedTuple):
    """A chapter as the tables show it."""

    path: Path
    title: str
    sees: str
    minutes: str
    picture: Picture

    @property
    def stem(self) -> str:
        return self.path.stem


def pictures(notebook: nbformat.NotebookNode, folder: Path) -> list[Picture]:
    """All pictures of a chapter, in order: those in its text, and those that its cells drew.

    ``folder`` is the notebook's own, which addresses in the text start from.
    """
    found = []
    for number, (cell, heading) in enumerate(zip(notebook.cells, headings(notebook), strict=True)):
        if cell.cell_type == "markdown":
            for source, width, description in IMAGE.findall(cell.source):
                content = (folder / source).read_bytes()
                found.append(Picture(content, "png", description, int(width), number))
        for output in cell.get("outputs", []):
            for mime, kind in DRAWN.items():
                if value := output.get("data", {}).get(mime):
                    content = base64.b64decode(value) if kind == "png" else value.encode()
                    found.append(Picture(content, kind, heading, None, number))
                    break
    return found


def headings(notebook: nbformat.NotebookNode) -> list[str]:
    """For each cell, the heading that it stands under, or that it ends with.

    A solution's is its exercise's.
    """
    found, heading = [], ""
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and "solution" not in cell.metadata.get("tags", []):
            heading = [heading, *re.findall(r"^#+ (.+)$", cell.source, re.M)][-1]
        found.append(heading)
    return found


def opening(notebook: nbformat.NotebookNode) -> tuple[str, dict[str, str]]:
    """A chapter's title, and its first lines: {"What you'll do": ..., ...}."""
    first = notebook.cells[0].source
    title = re.match(r"# (.+)", first).group(1)
    return title, dict(re.findall(r"^- \*\*(.+?):\*\* (.+)$", first, re.M))


def reading_minutes(notebook: nbformat.NotebookNode) -> int:
    """Minutes to read a chapter up to its exercises, rounded up to a multiple of five.

    200 words of text and code a minute, and a quarter of a minute for a picture.
    """
    sources = [cell.source for cell in notebook.cells]
    end = next(n for n, source in enumerate(sources) if re.search(r"^## Exercises$", source, re.M))
    words = sum(len(IMAGE.sub("", source).split()) for source in sources[:end])
    drawn = sum(bool(DRAWN.keys() & o.get("data", {}).keys()) for o in _outputs(notebook, end))
    shown = sum(len(IMAGE.findall(source)) for source in sources[:end])
    return 5 * math.ceil((words / 200 + (drawn + shown) / 4) / 5)


def _outputs(notebook: nbformat.NotebookNode, end: int) -> list[nbformat.NotebookNode]:
    return [output for cell in notebook.cells[:end] for output in cell.get("outputs", [])]


def chapters() -> list[Chapter]:
    """Every chapter there is, in order."""
    choices = tomllib.loads(Path(__file__).with_name("chapters.toml").read_text(encoding="utf-8"))
    found = []
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        title, lines = opening(notebook)
        choice = choices.get(path.stem, {})
        found.append(
            Chapter(
                path,
                title,
                choice.get("sees", lines["What you'll do"].rstrip(".")),
                choice.get("minutes", lines["How long it takes"].partition("; the exercises")[0]),
                _best(pictures(notebook, path.parent), choice.get("picture"), path),
            )
        )
    return found


def _best(found: list[Picture], wanted: str | None, path: Path) -> Picture:
    """The picture whose description starts with ``wanted``, or the chapter's first."""
    if not found:
        raise ValueError(f"{path.name} has no picture, and the tables show one of each chapter")
    return next((one for one in found if wanted and one.description.startswith(wanted)), found[0])
