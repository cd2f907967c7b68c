"""How the tests read Markdown.

A picture of a page is written as ``<img src="..." width="..." alt="...">``: Markdown's own way
can't give a size, and such a picture is taken at two device pixels a CSS pixel. JupyterLab, GitHub
and nbconvert all heed the width.
"""

import html
import re
from typing import NamedTuple

PICTURE = re.compile(r'<img src="([^"]+)" width="(\d+)" alt="([^"]+)">')


class Picture(NamedTuple):
    """What stands in the text: the file's address, the width in CSS pixels, the description."""

    target: str
    width: int
    description: str


def pictures(text: str) -> list[Picture]:
    """The pictures in a Markdown text, in order. AssertionError for one written another way."""
    found = [
        Picture(target, int(width), html.unescape(description))
        for target, width, description in PICTURE.findall(text)
    ]
    assert len(found) == text.count("<img"), "a picture needs src, width and alt, in this order"
    assert "](images/" not in text, "Markdown's ![...](...) shows a picture at twice its size"
    return found
