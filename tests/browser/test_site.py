"""The site in a browser that reaches nothing else: complete, light, and readable by everyone."""

import functools
import http.server
import io
import threading

import nbformat
import numpy as np
import pytest
from PIL import Image

from tests.browser.axe import serious_findings
from tests.conftest import CHAPTERS
from tests.site.built import built

PAGE_LIMIT = 3_000_000
"""Bytes that a page may make a browser fetch, all together."""

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}

PAGES = [
    "index.html",
    *(f"notebooks/{path.stem}.html" for path in CHAPTERS),
    "tools.html",
    "teaching/plans.html",
    "helpers/visdom/page.html",
    "search.html",
]

pages = pytest.mark.parametrize("name", PAGES)


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def serve():
    """A function that serves a folder on a free port of this machine, and returns its address."""
    servers = []

    def start(folder):
        handler = functools.partial(Quiet, directory=folder)
        servers.append(http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def site(serve):
    return serve(built() / "site")


@pages
def test_a_page_is_complete_and_light(site, page, name):
    # watched_page fails the test for any request that isn't answered, and nothing but the site is.
    requests = []
    page.on("requestfinished", lambda request: requests.append(request))
    page.goto(f"{site}/{name}", wait_until="networkidle")
    images = page.evaluate("[...document.images].map(i => [i.src, i.naturalWidth, i.alt.length])")
    assert [src for src, width, alt in images if not width or not alt] == []
    assert {request.url.split("/")[2] for request in requests} == {site.split("/")[2]}
    sizes = [request.sizes()["responseBodySize"] for request in requests]
    assert 100_000 < sum(sizes) < PAGE_LIMIT


@pages
def test_a_phone_shows_a_page_in_its_width(site, watched_page, name):
    page = watched_page(**PHONE)
    page.goto(f"{site}/{name}", wait_until="networkidle")
    # A long line is scrolled by itself: nothing makes the page wider than the screen.
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate("document.scrollingElement.clientWidth") == 390
    size = page.locator("main").first.evaluate("e => parseFloat(getComputedStyle(e).fontSize)")
    assert size >= 14


@pages
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_serious_for_who_cannot_see_it_or_has_no_mouse(site, watched_page, name, scheme):
    page = watched_page(color_scheme=scheme)
    page.goto(f"{site}/{name}", wait_until="networkidle")
    assert page.locator("html").get_attribute("data-theme") == scheme
    assert serious_findings(page) == []


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_pictures_stay_legible_on_a_dark_page(site, watched_page, path):
    """Each keeps a light ground of its own, and dark strokes on it stay dark."""
    page = watched_page(color_scheme="dark")
    page.goto(f"{site}/notebooks/{path.stem}.html", wait_until="networkidle")
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    shown = page.locator(".bd-article img").all()
    assert shown
    light = 0
    for picture in shown:
        image = Image.open(io.BytesIO(picture.screenshot())).convert("L")
        dark, bright = np.percentile(np.asarray(image), [0.1, 99])  # thin strokes are few pixels
        # Contrast by WCAG's formula is above 4.5 for any two greys that far apart.
        assert bright - dark > 90, picture.get_attribute("src")
        light += bright > 180
    assert light >= 0.8 * len(shown)


def test_a_solution_unfolds(site, page):
    page.goto(f"{site}/notebooks/{CHAPTERS[0].stem}.html")
    cells = nbformat.read(CHAPTERS[0], as_version=4).cells
    solution = next(cell for cell in cells if "# A solution\n" in cell.source)
    folded = page.locator("details", has_text="Show the solution").first
    code = folded.locator(".cell_input pre")
    assert not code.is_visible()
    folded.locator("summary").click()
    code.wait_for(state="visible")
    assert code.inner_text().strip() == solution.source.strip()


def test_the_search_finds_what_a_chapter_says(site, page):
    page.goto(f"{site}/search.html?q=autograd")
    page.locator("#search-results a", has_text="1 · ").first.wait_for()


def test_from_chapter_to_chapter(site, page):
    page.goto(f"{site}/index.html")
    page.locator(".next-page, a[title='next page']").first.click()
    for path in CHAPTERS:
        page.wait_for_url(f"**/notebooks/{path.stem}.html")
        page.locator("a[title='next page']").click()
    page.wait_for_url("**/tools.html")
