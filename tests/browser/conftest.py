"""A Chromium that is the system's own, and pages that remember what went wrong in them."""

import io
import os
import re
import shutil
from pathlib import Path

import pytest
from nbconvert import HTMLExporter
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from tests.conftest import ROOT, SHORT_PARAMETERS
from tests.records.pictures import likeness

# The names that .ci/system-packages looks for.
CHROMIUM_NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)

OPTIONS = [
    "--disable-gpu",
    # Draw WebGL, which Visdom's 3-D scatter needs, in software.
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # The course works without a network: a page that asks for something elsewhere fails here,
    # on every machine alike.
    "--no-proxy-server",
    # But evil.example leads to this machine, for the test of who is answered.
    "--host-resolver-rules=MAP evil.example 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, "
    "EXCLUDE localhost",
]

PATIENCE = 120_000
"""Milliseconds that a page may take for one step on a busy machine; nothing waits without need."""

SCALE = 2 if os.environ.get("PICTURES") else 1
"""Device pixels in a CSS pixel: pictures are for screens of high resolution."""

if SCALE == 2:
    SHORT_PARAMETERS.clear()  # pictures show the chapters at full length

ALIKE = 0.8
"""Likeness of a stored picture and the same page's now; of two panes it is less."""

PICTURE_LIMIT = 300_000
"""Bytes of one stored picture."""

expect.set_options(timeout=PATIENCE)


def open_converted(chapter: Path, page: Page, folder: Path) -> None:
    """Show a stored chapter as nbconvert renders it, without the scripts of others."""
    nowhere = {f"{name}_url": "" for name in ("mathjax", "require_js", "jquery", "mermaid_js")}
    rendered, _ = HTMLExporter(template_name="lab", **nowhere).from_filename(str(chapter))
    (folder / "chapter.html").write_text(rendered, encoding="utf-8")
    (folder / "images").symlink_to(chapter.parent / "images")
    page.goto((folder / "chapter.html").as_uri())


def find_chromium() -> str:
    """The path of the system's Chromium; the environment's CHROMIUM goes first."""
    names = [os.environ["CHROMIUM"]] if os.environ.get("CHROMIUM") else CHROMIUM_NAMES
    for name in names:
        if path := shutil.which(name):
            return path
    raise FileNotFoundError(
        f"no Chromium here ({', '.join(names)}). Install one (Debian, Ubuntu: apt-get install "
        "chromium; macOS: brew install chromium), or set CHROMIUM to the path of a Chromium or "
        "Chrome."
    )


@pytest.fixture(scope="package")
def browser():
    """One Chromium for this folder's tests, with an empty profile of its own.

    It ends with the last of them: Playwright keeps an event loop running, which the tests
    elsewhere shouldn't meet.
    """
    path = find_chromium()
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=OPTIONS)
        yield chromium
        chromium.close()


class WatchedPage:
    """A page in a browser context of its own, and what went wrong in it and in its frames.

    ``problems`` lists, one line each, failed requests, answers of status 400 and above, and
    JavaScript exceptions.
    """

    def __init__(self, browser: Browser, **options: object) -> None:
        defaults = {"viewport": {"width": 1280, "height": 900}, "device_scale_factor": SCALE}
        options = defaults | options
        self.context = browser.new_context(**options)
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.problems: list[str] = []
        self.context.on("requestfailed", self._request_failed)
        self.context.on("response", self._response)
        self.context.on("weberror", self._exception)

    def _request_failed(self, request) -> None:
        self.problems.append(f"{request.failure}: {request.method} {request.url}")

    def _response(self, response) -> None:
        if response.status >= 400:
            self.problems.append(f"{response.status}: {response.request.method} {response.url}")

    def _exception(self, web_error) -> None:
        self.problems.append(f"JavaScript: {web_error.error}")

    def unexpected(self, expected: dict[str, str]) -> list[str]:
        """The problems that match none of the regular expressions in ``expected``."""
        return [
            problem
            for problem in self.problems
            if not any(re.search(pattern, problem) for pattern in expected)
        ]

    def close(self) -> None:
        # What a closing page breaks off is no problem.
        self.context.remove_listener("requestfailed", self._request_failed)
        self.context.remove_listener("response", self._response)
        self.context.remove_listener("weberror", self._exception)
        self.context.close()


@pytest.fixture
def watched_page(browser, request):
    """A function that opens an empty page, with Playwright's options for a browser context.

    After the test, fails for every failed request and every JavaScript exception but those
    that the test's module lists in EXPECTED_PROBLEMS, {regular expression: reason}.
    """
    watched = []

    def open_page(**options) -> Page:
        watched.append(WatchedPage(browser, **options))
        return watched[-1].page

    yield open_page
    expected = getattr(request.module, "EXPECTED_PROBLEMS", {})
    problems = [problem for one in watched for problem in one.unexpected(expected)]
    for one in watched:
        one.close()
    assert not problems, "\n".join(problems)


@pytest.fixture
def page(watched_page) -> Page:
    """An empty page, 1280 x 900; see ``watched_page``."""
    return watched_page()


@pytest.fixture
def take_picture(tmp_path):
    """A function that stores what a page or a part of it shows, under a name, and returns the path.

    `make screenshots` sets the environment's PICTURES to the folder of the pictures that the
    README and the chapters show. Otherwise they go to a temporary folder, so that every test
    run tries the taking of them, and the stored one must show the same thing, unless it shows
    how long something took.
    """
    folder = Path(os.environ.get("PICTURES", tmp_path))

    def take(name: str, target: Page | Locator, same: bool = True, **options) -> Path:
        image = Image.open(io.BytesIO(target.screenshot(animations="disabled", **options)))
        image = image.convert("RGB")
        assert len(image.getcolors(1 << 24)) > 16, f"the picture {name} is empty"
        path = folder / f"{name}.png"
        # 256 colours, chosen for the picture, look the same and take a third of the bytes.
        image.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
        assert path.stat().st_size < PICTURE_LIMIT, f"{name} has {path.stat().st_size} bytes"
        with Image.open(ROOT / "notebooks" / "images" / path.name) as stored:
            alike = likeness(stored, image)
        assert not same or alike > ALIKE, f"the stored {name} is of something else ({alike:.2f})"
        return path

    return take
