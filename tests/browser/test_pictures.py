"""The stored pictures of pages: those that `make screenshots` takes, and that something shows."""

import re

import pytest
from PIL import Image

from tests.browser.conftest import PICTURE_LIMIT
from tests.conftest import CHAPTERS, ROOT

PICTURES = sorted((ROOT / "notebooks" / "images").glob("*"))


def test_pictures_are_shown_and_named_after_the_chapter_that_they_are_of():
    shown = {}
    for page in [ROOT / "README.md", *CHAPTERS]:
        for target in re.findall(r"\]\((\S*images/[^)\s]+)\)", page.read_text(encoding="utf-8")):
            shown.setdefault(target.rpartition("/")[2], []).append(page.stem)
    assert set(shown) == {picture.name for picture in PICTURES}
    for name, pages in shown.items():
        assert any(page == "README" or page[:2] == name[:2] for page in pages)


def test_the_readme_describes_its_pictures():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    pictures = re.findall(r"!\[(.*?)\]\((.*?)\)", text, re.S)
    assert pictures
    for description, target in pictures:
        assert len(description.split()) >= 8, target
        assert (ROOT / target).is_file(), target


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.stem)
def test_a_picture_is_light_and_not_empty(path):
    assert path.stat().st_size < PICTURE_LIMIT
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert min(image.size) >= 200
        colors = image.convert("RGB").getcolors(1 << 24)
    assert len(colors) > 16
    assert max(count for count, _ in colors) < 0.98 * sum(count for count, _ in colors)
