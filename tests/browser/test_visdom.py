"""Visdom's page as the reader meets it, with the windows that the chapter made."""

import io
import json
import re
import subprocess

import pytest
import requests
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.conftest import WatchedPage
from tests.browser.live_chapter import LiveChapter
from tests.conftest import ROOT

CHAPTER = ROOT / "notebooks" / "04_visdom_gallery.ipynb"

# The environments that the chapter draws in, and in each the windows that its text shows.
ENVIRONMENTS = {
    "main": ("scatter-2d", "scatter-3d", "lines", "stems", "heatmap"),
    "MyimagePlot": ("one-image", "batch", "text"),
    "training": ("live", "confusion", "embedding"),
    "gallery": ("histogram", "bars", "boxes", "surface", "contour", "quiver", "pie", "mesh"),
    "controls": ("form", "chosen"),
    "imported": ("heatmap",),
    "replayed": ("decay",),
}

RECORD_LIVE_LINE = """() => {
    window.lengths = [];
    setInterval(() => {
        const plot = document.querySelector(".js-plotly-plot");
        const now = plot && plot._fullData ? plot._fullData.map(trace => trace.x.length) : [];
        if (String(now) !== String(window.lengths.at(-1))) window.lengths.push(now);
    }, 10);
}"""


class Server:
    """The chapter's Visdom server, asked without Visdom's client."""

    def __init__(self, url: str) -> None:
        self.url = url

    def post(self, what: str, **data: object) -> str:
        reply = requests.post(self.url + what, data=json.dumps(data))
        reply.raise_for_status()
        return reply.text

    def windows(self, env: str) -> dict[str, dict]:
        return json.loads(self.post("win_data", win=None, eid=env))


class Environment:
    """An environment in the page: its windows, by the names that the chapter gave them."""

    def __init__(self, page: Page, server: Server, name: str) -> None:
        self.page, self.server, self.name = page, server, name
        self.windows = server.windows(name)
        page.goto(f"{server.url}env/{name}")
        expect(page.locator("button.btn-success")).to_have_text("online")
        expect(page.locator(".window")).to_have_count(len(self.windows))
        plots = [window for window in self.windows.values() if window["type"] == "plot"]
        page.wait_for_function(
            """count => {
                const plots = [...document.querySelectorAll(".js-plotly-plot")];
                const images = [...document.querySelectorAll("img.content-image")];
                return plots.length === count && images.every(image => image.complete)
                    && plots.every(plot => plot._fullData && plot.querySelector(".main-svg"));
            }""",
            arg=len(plots),
        )
        still(page)

    def pane(self, win: str):
        """The pane of a window, whose title is as that of no other."""
        title = self.windows[win]["title"]
        bar = self.page.locator(".bar").filter(has=self.page.get_by_text(title, exact=True))
        return self.page.locator(".window").filter(has=bar)

    def traces(self, win: str) -> list[dict]:
        """What Plotly drew in a pane, trace by trace."""
        return (
            self.pane(win)
            .locator(".js-plotly-plot")
            .evaluate(
                """plot => plot._fullData.map(trace => ({
                type: trace.type, name: trace.name, dash: trace.line && trace.line.dash,
                points: trace.x ? trace.x.length : null, z: trace.z, yaxis: trace.yaxis,
                visible: trace.visible}))"""
            )
        )


def still(page: Page) -> None:
    """Wait until the panes have come to rest: they move to their places when a page opens."""
    before = b""
    while (now := page.screenshot()) != before:
        before = now
        page.wait_for_timeout(200)


@pytest.fixture(scope="module")
def chapter(browser, tmp_path_factory):
    """The chapter after its run, in a kernel that lives, its training watched in the page."""
    chapter = LiveChapter(CHAPTER, tmp_path_factory.mktemp("visdom"), gate="train(model, ")
    watched = None
    try:
        chapter.wait_at_gate()
        chapter.server = Server(chapter.address("VisdomServer"))
        chapter.server.post("env/training", eid="training")  # so that the page can be open before
        watched = WatchedPage(browser)
        watched.page.goto(chapter.server.url + "env/training")
        expect(watched.page.locator("button.btn-success")).to_have_text("online")
        watched.page.evaluate(RECORD_LIVE_LINE)
        chapter.go_on()
        watched.page.wait_for_function("() => window.lengths.length && window.lengths.at(-1)[1]")
        chapter.finish()
        chapter.lengths = watched.page.evaluate("window.lengths")
        assert watched.problems == []
        yield chapter
    finally:
        if watched:
            watched.close()
        chapter.close()


@pytest.fixture(scope="module")
def show(chapter, browser):
    """A function that opens an environment, once, in a page high enough for all its panes.

    After the last test it fails for every failed request and JavaScript exception.
    """
    watched, opened = [], {}

    def open_environment(name: str) -> Environment:
        if name not in opened:
            watched.append(WatchedPage(browser, viewport={"width": 1280, "height": 1700}))
            opened[name] = Environment(watched[-1].page, chapter.server, name)
        return opened[name]

    yield open_environment
    problems = [problem for one in watched for problem in one.problems]
    for one in watched:
        one.close()
    assert problems == []


def test_the_live_line_grows_while_training_runs(chapter):
    """Every state of the pane between the first point and the last, as the page drew it."""
    lengths = [length for length in chapter.lengths if length]
    first = [length[0] for length in lengths]
    assert first == sorted(first)
    assert len(set(first)) >= 5
    assert lengths[-1] == [first[-1], first[-1]]
    assert first[-1] == len(chapter.server.windows("training")["live"]["content"]["data"][0]["x"])


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_every_pane_is_drawn_as_it_was_sent(show, take_picture, name):
    env = show(name)
    assert set(env.windows) == set(ENVIRONMENTS[name])
    for win, window in env.windows.items():
        pane = env.pane(win)
        expect(pane).to_have_count(1)
        if window["type"] == "plot":
            drawn, sent = env.traces(win), window["content"]["data"]
            assert [trace["type"] for trace in drawn] == [trace["type"] for trace in sent]
            for is_, meant in zip(drawn, sent, strict=True):
                assert is_["visible"] is True
                if "name" in meant:
                    assert is_["name"] == meant["name"]
                if meant.get("x") and meant["type"] not in ("mesh3d", "heatmap"):
                    assert is_["points"] == len(meant["x"])
                if "dash" in meant.get("line", {}):
                    assert is_["dash"] == meant["line"]["dash"]
        elif window["type"].startswith("image"):
            size = pane.locator("img.content-image").evaluate(
                "image => [image.naturalWidth, image.naturalHeight]"
            )
            assert size == pixels(win)
        if name != "imported" and win not in ("form", "chosen"):
            take_picture(f"04_{win}", pane)
    if name == "imported":
        take_picture("04_imported", env.pane("heatmap"))
    if name == "controls":
        take_picture("04_controls", env.page, clip=around(env.page))


def pixels(win: str) -> list[int]:
    """Width and height of an image that the chapter sends."""
    grid = [16 * (28 + 4), 8 * (28 + 4)]  # Visdom's padding is 2 on each side
    return {"batch": grid, "confusion": [200, 200]}.get(win, [28, 28])


def around(page: Page, **more: float) -> dict[str, float]:
    """The part of the page that holds its panes; ``x=0, y=0`` for the page's menu as well."""
    boxes = [pane.bounding_box() for pane in page.locator(".window").all()]
    left, top = (min(box[axis] for box in boxes) - 10 for axis in "xy")
    left, top = more.get("x", left), more.get("y", top)
    right = max(box["x"] + box["width"] for box in boxes) + 10
    bottom = max(box["y"] + box["height"] for box in boxes) + 10
    return {"x": left, "y": top, "width": right - left, "height": bottom - top}


def test_the_iris_panes_show_all_flowers_in_three_species(show):
    env = show("main")
    for win, kind in (("scatter-2d", "scatter"), ("scatter-3d", "scatter3d")):
        traces = env.traces(win)
        assert [trace["name"] for trace in traces] == ["setosa", "versicolor", "virginica"]
        assert [trace["type"] for trace in traces] == [kind] * 3
        assert sum(trace["points"] for trace in traces) == 150
    assert [trace["dash"] for trace in env.traces("lines")] == ["solid", "dash", "dashdot"]
    (heatmap,) = env.traces("heatmap")
    assert [len(row) for row in heatmap["z"]] == [4] * 4


def test_the_three_dimensional_scatter_is_one_webgl_canvas_with_points_on_it(show):
    env = show("main")
    canvas = env.pane("scatter-3d").locator(".gl-container canvas")
    expect(canvas).to_have_count(1)
    assert canvas.evaluate("canvas => canvas.getContext('2d') === null")  # so it is WebGL
    image = Image.open(io.BytesIO(canvas.screenshot())).convert("RGB")
    share = dict((color, count) for count, color in image.getcolors(1 << 24))
    for color in ((0, 0, 0), (0, 114, 178), (230, 159, 0)):
        assert share.get(color, 0) > 100, f"no points in {color}"


@pytest.mark.parametrize("name", ["main", "MyimagePlot"])
def test_chinese_is_drawn_with_a_font_that_has_it(show, name):
    env = show(name)
    chinese = subprocess.run(
        ["fc-list", ":lang=zh-cn", "family"], capture_output=True, text=True, check=True
    ).stdout
    cdp = env.page.context.new_cdp_session(env.page)
    for method in ("DOM.enable", "CSS.enable"):
        cdp.send(method)
    root = cdp.send("DOM.getDocument")["root"]["nodeId"]
    seen = 0
    for selector in (".bar div.pull-right", ".gtitle", ".content-text"):
        found = cdp.send("DOM.querySelectorAll", {"nodeId": root, "selector": selector})
        for node in found["nodeIds"]:
            html = cdp.send("DOM.getOuterHTML", {"nodeId": node})["outerHTML"]
            characters = len(re.findall(r"[\u4e00-\u9fff]", re.sub("<[^>]*>", "", html)))
            fonts = cdp.send("CSS.getPlatformFontsForNode", {"nodeId": node})["fonts"]
            drawn = sum(font["glyphCount"] for font in fonts if font["familyName"] in chinese)
            assert drawn >= characters, (html, fonts)
            seen += characters
    assert seen > 20


def test_both_environments_are_reached_by_ticks_in_the_menu(chapter, watched_page):
    page = watched_page()
    page.goto(chapter.server.url)
    expect(page.locator(".window")).to_have_count(len(ENVIRONMENTS["main"]))
    page.locator(".rc-tree-select").first.click()
    in_menu = page.locator(".rc-tree-select-tree-title")
    bars = page.locator(".window .bar div.pull-right")
    for env, other in (("MyimagePlot", "main"), ("main", "MyimagePlot")):
        in_menu.get_by_text(env, exact=True).click()
        expect(bars.get_by_text("compare_legend")).to_be_visible()  # as long as both are ticked
        in_menu.get_by_text(other, exact=True).click()
        titles = [window["title"] for window in chapter.server.windows(env).values()]
        expect(bars).to_have_count(len(titles))
        assert {text.strip() for text in bars.all_inner_texts()} == set(titles)


def test_a_press_in_the_page_calls_python_and_changes_the_page(show, chapter):
    env = show("controls")
    title = env.page.locator(".window .bar div.pull-right").filter(has_text="Test image")
    threes = title.inner_text()
    assert threes.endswith("class 3")

    env.page.get_by_role("button", name="next image").click()
    expect(title).not_to_have_text(threes)
    expect(title).to_have_text(re.compile("class 3$"))

    env.page.locator(".window select").select_option("7")
    expect(title).to_have_text(re.compile("class 7$"))
    before = title.inner_text()
    env.page.locator(".window img.content-image").click()
    env.page.keyboard.press("ArrowRight")
    expect(title).not_to_have_text(before)
    env.page.keyboard.press("ArrowLeft")
    expect(title).to_have_text(before)
    assert chapter.server.windows("controls")["chosen"]["title"] == before


def test_the_slider_goes_back_in_time(show):
    env = show("training")
    pane = env.pane("confusion")
    last = pane.locator("img.content-image").get_attribute("src")
    pane.locator("input[type=range]").fill("0")
    expect(pane.locator("img.content-image")).not_to_have_attribute("src", last)


def test_hovering_names_the_digit(show):
    env = show("training")
    point = env.pane("embedding").locator(".scatterlayer .point").first
    point.hover(force=True)
    expect(env.pane("embedding").locator(".hovertext")).to_contain_text("test image")


def test_two_environments_are_laid_over_each_other(chapter, watched_page, take_picture):
    names = [cell.source for cell in chapter.notebook.cells if "compare/" in cell.source]
    (path,) = {
        output.text.split("compare/")[1].strip()
        for cell in chapter.notebook.cells
        for output in cell.get("outputs", [])
        if output.output_type == "stream" and "compare/" in output.text
    }
    assert names
    page = watched_page()
    page.goto(f"{chapter.server.url}compare/{path}")
    plot = page.locator(".js-plotly-plot")
    expect(plot).to_have_count(1)
    expect(page.locator(".window")).to_have_count(2)
    traces = plot.evaluate("plot => plot._fullData.map(trace => [trace.name, trace.x.length])")
    assert len({name for name, _ in traces}) == 2
    assert all(name.endswith("_loss") for name, _ in traces)
    assert [points for _, points in traces] == [6, 6]
    for env in path.split("+"):
        expect(page.locator(".content-text")).to_contain_text(env)
    still(page)
    take_picture("04_compare", page, clip=around(page, x=0, y=0))


def test_the_fork_lacks_what_was_closed_in_it(show, take_picture):
    env = show("main-fork")
    assert set(env.windows) == set(ENVIRONMENTS["main"]) - {"stems"}
    take_picture("04_main-fork", env.page, clip=around(env.page, x=0, y=0))
