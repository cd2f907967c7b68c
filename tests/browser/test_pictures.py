"""The stored pictures of pages: those that `make screenshots` takes, and that something shows."""

import nbformat
import pytest
from PIL import Image

from tests.browser.conftest import PICTURE_LIMIT, open_converted
from tests.conftest import CHAPTERS, ROOT
from tests.markdown import pictures

PICTURES = sorted((ROOT / "notebooks" / "images").glob("*"))


PICTURE_SIZES = """selector => [...document.querySelectorAll(selector)].map(image => {
    const around = image.parentElement, style = getComputedStyle(around);
    return {
        address: image.getAttribute("src").slice(0, 80),
        written: Number(image.getAttribute("width")),
        shown: image.clientWidth, height: image.clientHeight,
        room: around.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight),
        pixels: image.naturalWidth, rows: image.naturalHeight};
})"""
"""Of pictures in a page: the width in the text, the size in the page, the size in the file."""


def assert_size_of_its_page(address, written, shown, height, room, pixels, rows):
    """Two pixels of the file for each of the page, or as wide as there is room; not distorted."""
    assert pixels == 2 * written, address
    assert abs(shown - min(written, room)) < 1, address
    assert abs(height - shown * rows / pixels) <= 1, address


def shown_by(page):
    """The pictures in the text of a chapter or of the README."""
    if page.suffix == ".md":
        found = pictures(page.read_text(encoding="utf-8"))
        # Those in docs/images are made of chapters' pictures, for the table; see tests/site.
        return [picture for picture in found if not picture.target.startswith("docs/images/")]
    cells = nbformat.read(page, as_version=4).cells
    return [picture for cell in cells if "<img" in cell.source for picture in pictures(cell.source)]


def test_pictures_are_shown_and_named_after_the_chapter_that_they_are_of():
    shown = {}
    for page in [ROOT / "README.md", *CHAPTERS]:
        for picture in shown_by(page):
            shown.setdefault(picture.target.rpartition("/")[2], []).append(page.stem)
    assert set(shown) == {picture.name for picture in PICTURES}
    for name, pages in shown.items():
        assert any(page == "README" or page[:2] == name[:2] for page in pages)


def test_the_readme_describes_its_pictures():
    assert shown_by(ROOT / "README.md")
    for picture in shown_by(ROOT / "README.md"):
        assert len(picture.description.split()) >= 8, picture.target


@pytest.mark.parametrize("page", [ROOT / "README.md", *CHAPTERS], ids=lambda path: path.stem)
def test_a_picture_is_shown_at_the_size_that_it_has_in_its_page(page):
    for picture in shown_by(page):
        with Image.open(page.parent / picture.target) as image:
            assert image.width == 2 * picture.width, picture.target


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.stem)
def test_a_picture_is_light_and_not_empty(path):
    assert path.stat().st_size < PICTURE_LIMIT
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert min(image.size) >= 200
        colors = image.convert("RGB").getcolors(1 << 24)
    assert len(colors) > 16
    assert max(count for count, _ in colors) < 0.98 * sum(count for count, _ in colors)


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_a_converted_chapter_shows_them_at_that_size_too(chapter, page, tmp_path):
    open_converted(chapter, page, tmp_path)
    sizes = page.evaluate(PICTURE_SIZES, ".jp-MarkdownCell img")
    assert len(sizes) == len(shown_by(chapter))
    for one in sizes:
        assert_size_of_its_page(**one)
