"""What is set right in the site after Sphinx has written it.

The theme's pages have three things that a screen reader can't name, and load a script of 1.6 MB
for icons that they draw with a font anyway.
"""

import re
from pathlib import Path

NAMES = {
    # A name that isn't the text one sees: then the text will do.
    r'(<summary) aria-label="Toggle hidden content"': r"\1",
    r'(<button class="[^"]*search-button-field[^>]*?) aria-label="[^"]*"': r"\1",
    # An arrow without a text.
    r'<summary>(?=<span class="toctree-toggle")': '<summary aria-label="Pages below this one">',
}


def finish(site: Path, notebooks: Path) -> None:
    """Set right what Sphinx wrote into ``site``, and put the stored notebooks there as they are."""
    for path in (site / "_sources" / "notebooks").glob("*.ipynb"):
        path.write_bytes((notebooks / path.name).read_bytes())
    script = site / "_static" / "scripts" / "fontawesome.js"
    script.write_text("// The icons come from the font.\n", encoding="utf-8")
    for path in site.rglob("*.map"):
        path.unlink()
    for path in site.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        for pattern, replacement in NAMES.items():
            text = re.sub(pattern, replacement, text)
        path.write_text(text, encoding="utf-8")
