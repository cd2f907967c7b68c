"""The site says what the chapters say, and leads nowhere that isn't there."""

import html
import re
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import nbformat
import pytest

from tests.conftest import CHAPTERS, ROOT
from tests.markdown import pictures
from tests.site.built import REPOSITORY, built, sphinx

chapters = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)

OWN = f"https://github.com/{REPOSITORY}"


def page(name, repository=""):
    return (built(repository) / "site" / name).read_text(encoding="utf-8")


def article(text):
    """What stands between the theme's frame: the page itself."""
    return text.split('<article class="bd-article">')[1].split("</article>")[0]


@chapters
def test_each_picture_of_a_chapter_is_on_its_page(path):
    notebook = nbformat.read(path, as_version=4)
    text = article(page(f"notebooks/{path.stem}.html"))
    shown = re.findall(r"<img[^>]*>", text)
    written = [
        picture
        for cell in notebook.cells
        if cell.cell_type == "markdown"
        for picture in pictures(cell.source)
    ]
    drawn = [
        output
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if {"image/png", "image/svg+xml"} & output.get("data", {}).keys()
    ]
    assert len(shown) == len(written) + len(drawn) > 0
    alts = [html.unescape(re.search(r'alt="([^"]*)"', image).group(1)) for image in shown]
    for picture in written:
        assert picture.description in alts
    assert sum(alt.startswith("What this cell drew: ") for alt in alts) == len(drawn)


@chapters
def test_no_chapter_has_a_formula_for_mathjax(path):
    """Its script is larger than the rest of a page together, so the site and the slides lack it."""
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "markdown":
            assert not re.search(r"\$[^$\s][^$]*\$|\\[\[(]", cell.source), cell.source


@chapters
def test_the_words_of_a_chapter_are_on_its_page(path):
    """But for the headings that fold solutions in JupyterLab: here these fold by themselves."""
    text = article(page(f"notebooks/{path.stem}.html"))
    headings = [
        heading
        for cell in nbformat.read(path, as_version=4).cells
        if cell.cell_type == "markdown"
        for heading in re.findall(r"^#{1,3} (\S+)", cell.source, re.M)
    ]
    assert len(re.findall(r"<h[1-6]", text)) == len(headings)


@chapters
def test_frames_of_live_pages_are_left_out(path):
    text = article(page(f"notebooks/{path.stem}.html"))
    assert "<iframe" not in text
    assert "127.0.0.1:" not in re.sub(r"<div class=\"highlight.*?</div>", "", text, flags=re.S)


@chapters
def test_what_is_downloaded_is_the_chapter_itself(path):
    copy = built() / "site" / "_sources" / "notebooks" / path.name
    assert copy.read_bytes() == path.read_bytes()
    assert f"_sources/notebooks/{path.name}" in page(f"notebooks/{path.stem}.html")


@chapters
def test_what_is_folded_in_a_chapter_is_folded_on_its_page(path):
    cells = nbformat.read(path, as_version=4).cells
    folded = [cell for cell in cells if cell.metadata.get("jupyter", {}).get("source_hidden")]
    text = article(page(f"notebooks/{path.stem}.html"))
    assert len(re.findall(r'<details class="admonition hide', text)) == len(folded)
    solutions = sum("solution" in cell.metadata.get("tags", []) for cell in folded)
    assert text.count("Show the solution") == solutions > 0


class Links(HTMLParser):
    """The ids and the addresses in a page."""

    def __init__(self, path):
        super().__init__()
        self.ids, self.targets = set(), []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name == "id":
                self.ids.add(value)
            elif name in ("href", "src") and value:
                self.targets.append(value)


@pytest.mark.parametrize("repository", ["", REPOSITORY], ids=["nowhere", "on GitHub"])
def test_local_links_lead_to_something(repository):
    site = built(repository) / "site"
    pages = {path: Links(path) for path in site.rglob("*.html") if "_static" not in path.parts}
    assert len(pages) > len(CHAPTERS) + 5
    broken = []
    for path, links in pages.items():
        for target in links.targets:
            parts = urlsplit(target)
            if parts.scheme:
                continue
            there = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            missing = not there.is_file()
            if there in pages and parts.fragment:
                missing = parts.fragment not in pages[there].ids
            if missing:
                broken.append(f"{path.relative_to(site)}: {target}")
    assert not broken


def test_every_helper_has_a_page_that_shows_it():
    for path in (ROOT / "helpers").rglob("*.py"):
        name = path.relative_to(ROOT).as_posix()
        name = name.replace("__init__.py", "index.py").replace(".py", ".html")
        if '"""' in path.read_text(encoding="utf-8"):
            shown = html.unescape(re.sub(r"<[^>]+>", "", page(name)))
            last = path.read_text(encoding="utf-8").strip().splitlines()[-1].strip()
            assert last in shown


def test_no_button_leads_nowhere_where_the_repository_is_not_known():
    for path in (built() / "site").rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        for place in ("colab.research", "kaggle.com/kernels", "mybinder.org/v2", "codespaces.new"):
            assert place not in text
        assert "source-edit-button" not in text
    assert not (built() / "launch").exists()


def test_pages_lead_to_what_they_come_from():
    chapter = CHAPTERS[0]
    for name, source in {
        f"notebooks/{chapter.stem}.html": f"notebooks/{chapter.name}",
        "helpers/torchviz.html": "helpers/torchviz.py",
        "helpers/visdom/index.html": "helpers/visdom/__init__.py",
        "teaching/plans.html": "docs/teaching/plans.md",
    }.items():
        assert (ROOT / source).is_file()
        text = page(name, REPOSITORY)
        assert f'"{OWN}/edit/main/{source}"' in text
        assert f"{OWN}/issues/new" in text


def test_a_chapter_can_be_started_in_four_places():
    stem = CHAPTERS[-1].stem
    text = html.unescape(page(f"notebooks/{stem}.html", REPOSITORY))
    copy = f"{REPOSITORY}/blob/launch/{stem}.ipynb"
    assert f"https://colab.research.google.com/github/{copy}" in text
    assert f"https://kaggle.com/kernels/welcome?src=https://github.com/{copy}" in text
    assert f"https://mybinder.org/v2/gh/{REPOSITORY}/main?labpath=notebooks/{stem}.ipynb" in text
    assert f"https://codespaces.new/{REPOSITORY}" in text
    assert (built(REPOSITORY) / "launch" / f"{stem}.ipynb").is_file()


def test_a_warning_is_an_error(tmp_path):
    (tmp_path / "index.md").write_text("# Title\n\n[gone](gone.md)\n")
    result = sphinx(tmp_path, tmp_path / "site")
    assert result.returncode != 0
    assert "gone.md" in result.stderr


def test_nothing_is_executed(tmp_path):
    notebook = nbformat.v4.new_notebook(metadata={"language_info": {"name": "python"}})
    trace = tmp_path / "trace"
    notebook.cells = [
        nbformat.v4.new_markdown_cell("# Title"),
        nbformat.v4.new_code_cell(f"open({str(trace)!r}, 'w')"),
    ]
    nbformat.write(notebook, tmp_path / "index.ipynb")
    result = sphinx(tmp_path, tmp_path / "site")
    assert result.returncode == 0, result.stderr
    assert not trace.exists()
