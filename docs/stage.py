"""The site's sources, laid out for Sphinx: the pages of this folder, the chapters, the helpers.

Chapters are taken as they are stored. What only works in a running notebook is taken out or put
in other words; nothing else is changed, and what a reader downloads is the notebook itself.
"""

import ast
import re
import shutil
from pathlib import Path

import nbformat
from chapters import NOTEBOOKS, ROOT, chapters, headings
from launch import buttons
from where import BRANCH

PAGES = Path(__file__).resolve().parent
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(((?!https?:|#|mailto:)[^)#\s]+)(#[^)]*)?\)")

# An address in the text of a running server: empty in a stored copy.
LIVE = re.compile(r"<iframe|https?://(127\.0\.0\.1|localhost)[:/]")

HELPER = """# {title}

{summary}

This is `{file}`:

```{{literalinclude}} /{file}
:language: python
:linenos:
```
"""

CONTENTS = """
```{{toctree}}
:glob:
:maxdepth: 1

{names}
```
"""


def stage(folder: Path, repository: str | None) -> None:
    """Write the sources of the site into ``folder``, which is made anew.

    ``repository`` is "owner/name" on GitHub; None if it isn't known, and then no page leads there.
    """
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "notebooks").mkdir(parents=True)
    shutil.copytree(NOTEBOOKS / "images", folder / "notebooks" / "images")
    helpers = _stage_helpers(folder)
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        stored_page(notebook)
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                cell.source = _links(cell.source, path.parent, folder, helpers, repository)
        if repository:
            first = notebook.cells[0]
            title, newline, rest = first.source.partition("\n")
            first.source = f"{title}\n\n{buttons(path.stem, repository)}{newline}{rest}"
        nbformat.write(notebook, folder / "notebooks" / path.name)
    for path in sorted(PAGES.rglob("*.md")):
        if "_build" in path.parts:
            continue
        target = folder / path.relative_to(PAGES)
        target.parent.mkdir(parents=True, exist_ok=True)
        text = path.read_text(encoding="utf-8").replace("<!-- chapters -->", _cards(folder))
        text = _links(text, path.parent, folder, helpers, repository)
        target.write_text(text, encoding="utf-8")
    for path in sorted((PAGES / "teaching").rglob("*.py")):  # what its pages lead to
        shutil.copyfile(path, folder / path.relative_to(PAGES))
    shutil.copytree(PAGES / "images", folder / "images", dirs_exist_ok=True)


def stored_page(notebook: nbformat.NotebookNode) -> None:
    """Make of a chapter what can be shown without a kernel: no frames, folded cells folded.

    What a cell drew is described by the heading above it, for whoever can't see it.
    """
    # On the site a solution has a line of its own to unfold it, in place of a heading.
    notebook.cells = [
        cell
        for cell in notebook.cells
        if cell.cell_type == "code" or "solution" not in cell.metadata.get("tags", [])
    ]
    for cell, heading in zip(notebook.cells, headings(notebook), strict=True):
        if cell.cell_type != "code":
            continue
        settings = {"image": {"alt": f"What this cell drew: {heading}"}}
        cell.outputs = [output for output in cell.outputs if not is_live(output)]
        # What JupyterLab folds, with the words that myst-nb has for it.
        folded = cell.metadata.get("jupyter", {})
        kinds = [kind for kind in ("source", "outputs") if folded.get(f"{kind}_hidden")]
        if kinds:
            hide = {"source": "hide-input", "outputs": "hide-output"}[kinds[0]]
            hide = "hide-cell" if len(kinds) == 2 else hide
            cell.metadata["tags"] = [*cell.metadata.get("tags", []), hide]
            what = "the solution" if "solution" in cell.metadata["tags"] else "the code"
            settings |= {"code_prompt_show": f"Show {what}", "code_prompt_hide": f"Hide {what}"}
        cell.metadata["mystnb"] = settings


def is_live(output: nbformat.NotebookNode) -> bool:
    """Whether an output is a page of a running server, empty without it."""
    return bool(LIVE.search("".join(output.get("data", {}).get("text/html", ""))))


def _stage_helpers(folder: Path) -> dict[str, str]:
    """Write a page for each helper; returns {its path in the repository: its page's}."""
    pages = {}
    for path in sorted((ROOT / "helpers").rglob("*.py")):
        file = path.relative_to(ROOT).as_posix()
        text = path.read_text(encoding="utf-8")
        if not (summary := ast.get_docstring(ast.parse(text))):
            continue
        page = folder / file.replace(".py", ".md").replace("__init__", "index")
        page.parent.mkdir(parents=True, exist_ok=True)
        summary = summary.split("\n\n")[0]
        # helpers/__init__.py is the helpers, helpers/visdom/__init__.py visdom, model.py model.py.
        title = path.name if path.name != "__init__.py" else path.parent.name
        title = "The helpers" if title == "helpers" else title
        title = title.replace("_", r"\_")
        text_of_page = HELPER.format(title=title, summary=summary, file=file)
        if path.name == "__init__.py":
            packages = any(path.parent.glob("*/__init__.py"))
            text_of_page += CONTENTS.format(names="*/index\n*" if packages else "*")
        page.write_text(text_of_page, encoding="utf-8")
        (folder / file).write_text(text, encoding="utf-8")
        pages[file] = page.relative_to(folder).as_posix()
    return pages


def _links(
    text: str, base: Path, folder: Path, helpers: dict[str, str], repository: str | None
) -> str:
    """The text with its links to files of the repository leading to something on the site.

    Chapters and helpers have pages. Any other file leads to the repository; where that isn't
    known it is a download, or plain text if it is a folder or a text for the forge.
    """

    def lead(match: re.Match) -> str:
        words, target, anchor = match.group(1), match.group(2), match.group(3) or ""
        path = (base / target).resolve()
        if target.startswith("/") or path.is_relative_to(PAGES) or not path.is_relative_to(ROOT):
            return match.group(0)
        file = path.relative_to(ROOT).as_posix()
        if path.parent == NOTEBOOKS and path.suffix == ".ipynb":
            return f"[{words}](/{file}{anchor})"
        if path.is_dir() and f"{file}/__init__.py" in helpers:
            file += "/__init__.py"
        if file in helpers:
            return f"[{words}](/{helpers[file]}{anchor})"
        if repository:
            return f"[{words}](https://github.com/{repository}/blob/{BRANCH}/{file}{anchor})"
        if path.is_file() and path.suffix != ".md":
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / file)
            return f"[{words}](/{file})"
        return words

    return LINK.sub(lead, text)


def _cards(folder: Path) -> str:
    """The front page's list of chapters: picture, title, what one sees, how long it takes.

    A chapter that `make front` hasn't seen yet is shown by its picture as it is.
    """
    cards = []
    for chapter in chapters():
        picture = f"/images/{chapter.stem}.png"
        if not (PAGES / picture[1:]).is_file():
            picture = f"/images/{chapter.stem}.{chapter.picture.kind}"
            (folder / "images").mkdir(exist_ok=True)
            (folder / picture[1:]).write_bytes(chapter.picture.content)
        cards.append(
            f":::{{container}} chapter-card\n"
            f"```{{image}} {picture}\n:alt: {chapter.picture.description}\n"
            f":target: notebooks/{chapter.stem}.html\n```\n\n"
            f"**[{chapter.title}](/notebooks/{chapter.path.name})**\n\n"
            f"{chapter.sees[0].upper()}{chapter.sees[1:]}.\n\n*{chapter.minutes}*\n:::\n"
        )
    return "::::{container} chapter-cards\n" + "\n".join(cards) + "::::\n"
