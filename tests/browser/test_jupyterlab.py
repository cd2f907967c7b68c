"""The chapters in JupyterLab: opened from a copy, run by the menu, looked at."""

import re
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import nbformat
import psutil
import pytest
from conftest import CHAPTERS, SHORT_PARAMETERS

from browser.conftest import WatchedPage
from browser.lab import Notebook, copy_chapter, jupyterlab

PREFIX = "/user/x/"
"""The base URL of a JupyterHub's user, under which jupyter-server-proxy hands on ports."""

EXPECTED_PROBLEMS = {
    r" GET http://127\.0\.0\.1:\d+/font-roboto/": (
        "TensorBoard leaves --path_prefix out of its fonts' addresses; the page has other fonts"
    ),
}


def source(path: Path) -> str:
    cells = nbformat.read(path, as_version=4).cells
    return "\n".join(cell.source for cell in cells if cell.cell_type == "code")


VISITS = [(path, "/") for path in CHAPTERS] + [
    (path, PREFIX) for path in CHAPTERS if re.search(r"Server\(", source(path))
]


@dataclass
class Visit:
    """A chapter after its run."""

    path: Path
    notebook: Notebook
    watched: WatchedPage
    course: Path
    server: psutil.Process


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A folder with copies of the chapters, shortened."""
    folder = tmp_path_factory.mktemp("course")
    for path in CHAPTERS:
        copy_chapter(path, folder / "notebooks", **SHORT_PARAMETERS.get(path.stem, {}))
    return folder


@pytest.fixture(scope="module")
def servers(course, tmp_path_factory):
    """A function: the address and the process of the server that has this base URL."""
    running = {}

    def serve(base_url: str) -> tuple[str, psutil.Process]:
        if base_url not in running:
            home = tmp_path_factory.mktemp("jupyter")
            running[base_url] = stack.enter_context(jupyterlab(course, home, base_url))
        return running[base_url]

    with ExitStack() as stack:
        yield serve


@pytest.fixture(scope="module", params=VISITS, ids=[f"{path.stem}-{base}" for path, base in VISITS])
def visit(request, browser, servers, course):
    path, base_url = request.param
    address, server = servers(base_url)
    watched = WatchedPage(browser)
    notebook = Notebook(watched.page, address, f"notebooks/{path.name}")
    notebook.run_all()
    yield Visit(path, notebook, watched, course, server)
    notebook.shut_down()
    _, left = psutil.wait_procs(server.children(recursive=True), timeout=30)
    watched.close()
    assert not left, f"{path.stem} leaves behind {left}"


def code(visit):
    """The sources of the code cells, in order."""
    cells = nbformat.read(visit.path, as_version=4).cells
    return [cell.source for cell in cells if cell.cell_type == "code"]


def in_order(visit, pattern):
    """The numbers of the code cells whose source matches."""
    return [number for number, text in enumerate(code(visit)) if re.search(pattern, text)]


def test_every_cell_ran_and_none_shows_an_error(visit):
    assert visit.notebook.execution_counts() == list(range(1, len(code(visit)) + 1))
    outputs = visit.notebook.page.locator(".jp-OutputArea-output")
    assert outputs.count() >= 5
    for mark in ("error", "stderr"):
        kind = f'[data-mime-type="application/vnd.jupyter.{mark}"]'
        assert visit.notebook.page.locator(kind).all_inner_texts() == []


def test_every_picture_is_loaded(visit):
    pictures = visit.notebook.page.evaluate(
        """() => [...document.querySelectorAll(".jp-Notebook img")].map(image => [
            image.complete ? image.naturalWidth * image.naturalHeight : 0,
            image.clientWidth * image.clientHeight, image.src.slice(0, 80)])"""
    )
    assert pictures
    for pixels, shown, address in pictures:
        assert pixels > 10_000, address
        assert shown > 10_000, address


def test_every_plot_cell_shows_a_picture(visit):
    for number in in_order(visit, r"plt\.show\(\)"):
        assert visit.notebook.cells.nth(number).locator(".jp-OutputArea-output img").count()


def test_nothing_failed_in_the_page_or_its_frames(visit):
    assert visit.watched.unexpected(EXPECTED_PROBLEMS) == []


def test_the_progress_bar_moves(visit):
    for number in in_order(visit, r"\btqdm\("):
        percentages = [
            int(found[1])
            for text in visit.notebook.seen()[number]["texts"]
            if (found := re.match(r" *(\d+) %", text))
        ]
        assert percentages == sorted(percentages)
        assert len(set(percentages)) >= 10
        assert percentages[-1] == 100


def test_files_are_written_to_the_output_folder_only(visit):
    """Seen from the course's folder, once the chapter has run from it."""
    outputs = visit.course / "data" / "outputs" / visit.path.stem
    assert any(outputs.iterdir())
    own = [visit.course / "notebooks", visit.course / "data" / "outputs"]
    strays = [
        path
        for path in visit.course.rglob("*")
        if path.is_file() and not any(path.is_relative_to(folder) for folder in own)
    ]
    assert strays == []
    assert {path.suffix for path in (visit.course / "notebooks").iterdir()} <= {".ipynb", ""}
