"""The slides work from a folder, without a network: all pictures, words that fit, notes."""

import os
import subprocess
import sys

import nbformat
import pytest

from tests.conftest import CHAPTERS, ROOT
from tests.site.test_site import pictures

WIDTH, HEIGHT = 1280, 720
"""Of a projector."""


@pytest.fixture(scope="module")
def slides(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slides")
    command = [sys.executable, ROOT / "docs" / "slides.py", folder]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return folder


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_each_picture_of_a_chapter_is_a_slide_that_fits(slides, watched_page, path):
    page = watched_page(viewport={"width": WIDTH, "height": HEIGHT})
    page.goto((slides / f"{path.stem}.html").as_uri())
    page.wait_for_function("window.Reveal && Reveal.isReady()")
    cells = nbformat.read(path, as_version=4).cells
    written = sum(len(pictures(cell.source)) for cell in cells if cell.cell_type == "markdown")
    drawn = sum(
        bool({"image/png", "image/svg+xml"} & output.get("data", {}).keys())
        for cell in cells
        for output in cell.get("outputs", [])
    )
    assert page.evaluate("Reveal.getTotalSlides()") == written + drawn + 1
    assert page.locator("aside.notes").count() > 0
    for number in range(1, written + drawn + 1):
        page.evaluate(f"Reveal.slide({number})")
        image, rows, columns = page.evaluate(
            "(s => [s.querySelector('img').naturalWidth, s.scrollHeight, s.scrollWidth])"
            "(Reveal.getCurrentSlide())"
        )
        assert image > 0
        assert rows <= 700 and columns <= 1100, number  # what reveal.js scales to the screen
