"""Slides from the chapters' own pictures, for a room without a network.

    python docs/slides.py [FOLDER]     # docs/_build/slides by default

One deck a chapter, in FOLDER/<chapter>.html, and reveal.js beside it, which the decks use. A slide
is a heading, the picture under it, and the first sentences on what to see in it; what the chapter
says beyond them is in the speaker's notes.
"""

import base64
import re
import shutil
import sys
from pathlib import Path

import nbformat
from assets import REVEAL
from chapters import IMAGE, NOTEBOOKS, headings, opening, pictures
from nbconvert import SlidesExporter
from traitlets.config import Config

from helpers.visdom.page import npm_folder

DOCS = Path(__file__).resolve().parent
LEARN = "What you'll learn"

ROOM = 330
"""Characters under a picture that one reads from the last row; the rest goes to the notes."""

# The picture takes what room the words leave.
STYLE = """<style>
.reveal .slides { text-align: left; }
.reveal .slides h1, .reveal .slides h2 { text-transform: none; }
.reveal .slides p, .reveal .slides li { font-size: 22px; line-height: 1.3; }
.reveal .slides img { max-width: 100%; max-height: 380px; display: block; margin: 0.3em auto; }
</style>"""


def deck(path: Path) -> nbformat.NotebookNode:
    """The slides of a chapter, as a notebook of Markdown cells."""
    notebook = nbformat.read(path, as_version=4)
    title, lines = opening(notebook)
    slides = nbformat.v4.new_notebook()
    slides.metadata = nbformat.from_dict({"title": title})
    slides.cells.append(_slide(f"{STYLE}\n\n# {title}\n\n**{LEARN}:** {lines[LEARN]}"))
    above = headings(notebook)
    for picture in pictures(notebook, path.parent):
        mime = {"png": "image/png", "svg": "image/svg+xml"}[picture.kind]
        source = f"data:{mime};base64,{base64.b64encode(picture.content).decode()}"
        width = f' width="{picture.width}"' if picture.width else ""
        alt = picture.description.replace('"', "&quot;")
        said, more = _words_after(notebook, picture.cell)
        slides.cells.append(
            _slide(f'## {above[picture.cell]}\n\n<img src="{source}"{width} alt="{alt}">\n\n{said}')
        )
        if more:
            slides.cells.append(_slide(more, kind="notes"))
    return slides


def _slide(text: str, kind: str = "slide") -> nbformat.NotebookNode:
    return nbformat.v4.new_markdown_cell(text, metadata={"slideshow": {"slide_type": kind}})


def _words_after(notebook: nbformat.NotebookNode, number: int) -> tuple[str, str]:
    """What the chapter says about a picture in cell ``number``: its first words, and the rest."""
    here = notebook.cells[number]
    if here.cell_type == "markdown":
        text = IMAGE.split(here.source)[-1]
    else:
        after = notebook.cells[number + 1 : number + 2]
        text = after[0].source if after and after[0].cell_type == "markdown" else ""
    # Links lead out of the slides, and another section has its own.
    text = re.sub(
        r"\[([^\]]+)\]\([^)]+\)", r"\1", IMAGE.sub("", re.split(r"^#", text, flags=re.M)[0])
    )
    first, _, rest = text.strip().partition("\n\n")
    sentences = re.split(r"(?<=[.!?:]) +", first)
    shown = sentences[:1]
    while len(shown) < len(sentences) and len(" ".join(shown)) + len(sentences[len(shown)]) < ROOM:
        shown.append(sentences[len(shown)])
    more = " ".join(sentences[len(shown) :])
    return " ".join(shown), f"{more}\n\n{rest}".strip()


def write_slides(folder: Path) -> None:
    """Write a deck for each chapter into ``folder``, and reveal.js beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(npm_folder(REVEAL), folder / "reveal.js", dirs_exist_ok=True)
    settings = Config()
    settings.SlidesExporter.reveal_url_prefix = "reveal.js"
    settings.SlidesExporter.reveal_theme = "white"
    settings.SlidesExporter.extra_template_paths = [str(DOCS / "templates")]
    exporter = SlidesExporter(config=settings, template_file="slides.html.j2")
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        text, _ = exporter.from_notebook_node(deck(path))
        (folder / f"{path.stem}.html").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    place = Path(sys.argv[1]) if len(sys.argv) > 1 else DOCS / "_build" / "slides"
    write_slides(place)
    print(f"The slides are in {place}: open a chapter's page in a browser")
