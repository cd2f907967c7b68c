"""The chapters in JupyterLab: opened from a copy, run by the menu, looked at."""

import itertools
import re
import shutil
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
import psutil
import pytest
import requests
from playwright.sync_api import expect

from tests.browser.conftest import WatchedPage
from tests.browser.lab import Notebook, copy_chapter, jupyterlab
from tests.browser.test_pictures import PICTURE_SIZES, assert_size_of_its_page
from tests.browser.test_visdom import ENVIRONMENTS
from tests.browser.vision import APART, KINDS, closest
from tests.conftest import CHAPTERS, ROOT, SHORT_PARAMETERS

PREFIX = "/user/x/"
"""The base URL of a JupyterHub's user, under which jupyter-server-proxy hands on ports."""

EXPECTED_PROBLEMS = {
    r" GET http://127\.0\.0\.1:\d+/font-roboto/": (
        "TensorBoard leaves --path_prefix out of its fonts' addresses; the page has other fonts"
    ),
    r"^net::ERR_ABORTED: GET \S+/lab/tree/notebooks/images/": (
        "JupyterLab puts a picture into the page with its address as written, then as resolved"
    ),
}


def code(path: Path) -> list[str]:
    """The sources of a chapter's code cells, in order."""
    cells = nbformat.read(path, as_version=4).cells
    return [cell.source for cell in cells if cell.cell_type == "code"]


def numbers(path: Path, pattern: str) -> list[int]:
    """Which code cells of a chapter match a regular expression, counted from 0."""
    return [number for number, source in enumerate(code(path)) if re.search(pattern, source)]


SERVERS = ("TensorBoard", "Visdom")
BEHIND_PROXY = {
    kind: path for path in CHAPTERS for kind in SERVERS if numbers(path, rf"\b{kind}Server\(")
}
"""For each kind of server, one chapter that shows its page."""

TRACES = """plots => plots.map(plot => plot._fullData.filter(trace => trace.type != "heatmap").map(
    trace => [[].concat(trace.marker?.color ?? trace.line?.color)[0],
        trace.line?.dash, trace.marker?.symbol]))"""
"""Of each Plotly plot, each trace's colour, dashes and symbol, as JavaScript."""

VISITS = [(path, "/") for path in CHAPTERS] + [(path, PREFIX) for path in BEHIND_PROXY.values()]


def visits(pattern: str):
    """A mark for a test of the visits to those chapters whose code matches."""
    chosen = [visit for visit in VISITS if numbers(visit[0], pattern)]
    assert chosen, pattern
    ids = [f"{path.stem} at {base_url}" for path, base_url in chosen]
    return pytest.mark.parametrize("visit", chosen, indirect=True, ids=ids, scope="module")


@dataclass
class Visit:
    """A chapter after its run."""

    path: Path
    base_url: str
    notebook: Notebook
    watched: WatchedPage
    course: Path
    shown: list[bool]
    """For each code cell whether it could be seen after the run, before all was unfolded."""


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A folder with copies of the chapters, shortened."""
    folder = tmp_path_factory.mktemp("course")
    for path in CHAPTERS:
        copy_chapter(path, folder / "notebooks", **SHORT_PARAMETERS.get(path.stem, {}))
    shutil.copytree(ROOT / "notebooks" / "images", folder / "notebooks" / "images")
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


@pytest.fixture(scope="module")
def visit(request, browser, servers, course):
    path, base_url = request.param
    address, server = servers(base_url)
    watched = WatchedPage(browser)
    family = []
    try:
        notebook = Notebook(watched.page, address, f"notebooks/{path.name}")
        notebook.run_all()
        shown = [cell.is_visible() for cell in notebook.cells.all()]
        watched.page.evaluate("jupyterapp.commands.execute('notebook:expand-all-headings')")
        yield Visit(path, base_url, notebook, watched, course, shown)
        family = server.children(recursive=True)
        notebook.shut_down()
        _, left = psutil.wait_procs(family, timeout=30)
        assert not left, f"{path.stem} leaves behind {left}"
    finally:
        watched.close()
        for process in {*family, *server.children(recursive=True)}:
            with suppress(psutil.NoSuchProcess):
                process.kill()


def test_make_labs_jupyterlab_asks_nobody_for_updates(servers):
    """Asked for news, it has none, and wasn't made to look for any."""
    address, server = servers("/")
    assert "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate" in server.cmdline()
    assert "--LabApp.news_url=None" in server.cmdline()
    for news in ("update", "news"):
        answer = requests.get(f"{address}lab/api/{news}", timeout=60)
        assert answer.json() in ({"notification": None}, {"news": []}), news


@visits("")
def test_every_cell_ran_and_none_shows_an_error(visit):
    assert visit.notebook.execution_counts() == list(range(1, len(code(visit.path)) + 1))
    outputs = visit.notebook.page.locator(".jp-OutputArea-output")
    assert outputs.count() >= 5
    for mark in ("error", "stderr"):
        kind = f'[data-mime-type="application/vnd.jupyter.{mark}"]'
        assert visit.notebook.page.locator(kind).all_inner_texts() == []


@visits("")
def test_solutions_stay_folded_when_all_is_run(visit):
    """Nobody who runs a chapter is told the answers to its exercises."""
    solutions = numbers(visit.path, "^# A solution")
    assert len(solutions) >= 4
    assert [number for number, seen in enumerate(visit.shown) if not seen] == solutions


@visits("")
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
    for sizes in visit.notebook.page.evaluate(PICTURE_SIZES, ".jp-MarkdownCell img"):
        assert_size_of_its_page(**sizes)


@visits(r"plt\.show\(\)")
def test_every_plot_cell_shows_a_picture(visit):
    for number in numbers(visit.path, r"plt\.show\(\)"):
        assert visit.notebook.cells.nth(number).locator(".jp-OutputArea-output img").count()


@visits(r"\btqdm\(")
def test_the_progress_bar_moves(visit):
    for number in numbers(visit.path, r"\btqdm\("):
        percentages = [
            int(found[1])
            for text in visit.notebook.seen()[number]["texts"]
            if (found := re.match(r" *(\d+) %", text))
        ]
        assert percentages == sorted(percentages)
        assert len(set(percentages)) >= 10
        assert percentages[-1] == 100


@visits(r"\bCanvas\(")
def test_the_canvas_is_one_picture_that_changes(visit, take_picture):
    """In the canvas chapter; three at least are seen while it runs, and no gap between them."""
    moving = [number for number, cell in enumerate(visit.notebook.seen()) if cell["pictures"] > 1]
    assert moving
    for number in moving:
        seen = visit.notebook.seen()[number]
        assert seen["pictures"] >= 3
        assert seen["at_once"] == 1
        assert seen["empty"] == 0
        assert visit.notebook.cells.nth(number).locator(".jp-OutputArea-output img").count() == 1
    page = visit.notebook.page
    page.set_viewport_size({"width": 1120, "height": 1000})
    page.evaluate("jupyterapp.commands.execute('application:toggle-left-area')")
    picture = visit.notebook.cells.nth(moving[0]).locator("img")
    picture.evaluate("picture => picture.scrollIntoView({block: 'end'})")
    take_picture("03_canvas_in_jupyterlab", page)


@visits(r"build_graph\(")
def test_graphs_are_drawn_as_svg(visit):
    """With lines and text in each."""
    graphs = visit.notebook.page.locator(".jp-RenderedSVG img").all()
    assert len(graphs) >= 2
    for graph in graphs:
        assert graph.evaluate("image => image.naturalWidth") > 80
        drawn = unquote(graph.get_attribute("src"))
        assert drawn.startswith("data:image/svg+xml")
        assert drawn.count("<path") >= 3
        assert drawn.count("<text") >= 3


def frame(visit, kind):
    """The page of a server inside the notebook, scrolled into view."""
    element = visit.notebook.page.locator(f'iframe[title="{kind}"]')
    element.scroll_into_view_if_needed()
    assert urlsplit(element.get_attribute("src")).path.startswith(visit.base_url)
    return element.content_frame


@visits(r"\badd_graph\(")
def test_the_embedded_tensorboard_shows_its_content(visit):
    board = frame(visit, "TensorBoard")
    expect(board.locator("card-view svg, g.node").first).to_be_visible()


@visits(r"\bVisdomServer\(")
def test_the_embedded_visdom_shows_its_content(visit):
    page = frame(visit, "Visdom")
    expect(page.locator("button.btn-success")).to_have_text("online")
    expect(page.locator(".window")).to_have_count(len(ENVIRONMENTS["main"]))
    plots = page.locator(".js-plotly-plot")
    expect(plots).to_have_count(len(ENVIRONMENTS["main"]))
    for plot in plots.all():
        expect(plot.locator(".main-svg").first).to_be_visible()
    for traces in plots.evaluate_all(TRACES):
        for (color, *shape), (other_color, *other_shape) in itertools.combinations(traces, 2):
            apart = [closest((color, other_color), kind) > APART for kind in KINDS]
            assert shape != other_shape or all(apart), traces


@visits("")
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
    beside = {path.name for path in (visit.course / "notebooks").iterdir()}
    assert beside <= {path.name for path in CHAPTERS} | {"images", ".ipynb_checkpoints"}


@visits("")
def test_nothing_failed_in_the_page_or_its_frames(visit):
    assert visit.watched.unexpected(EXPECTED_PROBLEMS) == []
