"""Renew what shows the chapters at a glance: their pictures, and the README's table.

    python docs/front.py             # all, with Chromium
    python docs/front.py --readme    # the README's table alone

The pictures are the chapters' own results, each set in a frame of one size, and one wide picture
of them all.
"""

import base64
import html
import io
import math
import sys
from pathlib import Path

from chapters import ROOT, Chapter, chapters
from PIL import Image, PngImagePlugin
from playwright.sync_api import Page, sync_playwright

IMAGES = Path(__file__).resolve().parent / "images"
README = ROOT / "README.md"
BEGIN, END = "<!-- chapters: `make front` writes this -->", "<!-- end of chapters -->"
WIDE = "all-chapters"
WIDTH = 1120
SCALE = 2

STYLE = """
* { box-sizing: border-box }
body { margin: 0; background: white; font: 600 17px/1.25 "DejaVu Sans", sans-serif; color: #222 }
.all { display: grid; gap: 20px; padding: 16px }
.one .frame { height: 300px }
figure { margin: 0; min-width: 0 }
.frame { height: 250px; display: flex; align-items: center; justify-content: center;
         border: 1px solid #bbb; border-radius: 6px; padding: 8px; background: white }
.frame img { max-width: 100%; max-height: 100%; object-fit: contain; width: 100%; height: 100% }
.one figcaption { display: none }
figcaption { padding: 8px 2px 0 }
"""


def panel(chapter: Chapter) -> str:
    """A chapter's picture in a frame, over its title, as HTML."""
    mime = {"png": "image/png", "svg": "image/svg+xml"}[chapter.picture.kind]
    source = f"data:{mime};base64,{base64.b64encode(chapter.picture.content).decode()}"
    return (
        f'<figure><div class="frame"><img src="{source}"></div>'
        f"<figcaption>{html.escape(chapter.title)}</figcaption></figure>"
    )


def draw(page: Page, path: Path, panels: list[str], kind: str, note: str) -> None:
    """Take a picture of the panels and store it with a note of what it shows."""
    columns = len(panels) if len(panels) <= 4 else math.ceil(len(panels) / 2)
    page.set_content(
        f"<style>{STYLE}</style><div class='{kind}' "
        f"style='grid-template-columns: repeat({columns}, 1fr)'>{''.join(panels)}</div>"
    )
    page.wait_for_function("[...document.images].every(i => i.complete && i.naturalWidth)")
    target = page.locator(f".{kind}")
    image = Image.open(io.BytesIO(target.screenshot())).convert("RGB")
    facts = PngImagePlugin.PngInfo()
    facts.add_text("Chapters", note)
    image.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True, pnginfo=facts)


def draw_all() -> None:
    """Write one picture a chapter, and the wide one."""
    from tests.browser.conftest import OPTIONS, find_chromium

    IMAGES.mkdir(exist_ok=True)
    found = chapters()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=OPTIONS)
        size = {"width": 420, "height": 700}
        page = browser.new_page(viewport=size, device_scale_factor=SCALE)
        for chapter in found:
            draw(page, IMAGES / f"{chapter.stem}.png", [panel(chapter)], "one", chapter.stem)
        page.set_viewport_size({"width": WIDTH, "height": 900})
        note = " ".join(chapter.stem for chapter in found)
        draw(page, IMAGES / f"{WIDE}.png", [panel(one) for one in found], "all", note)
        browser.close()


def table(found: list[Chapter]) -> str:
    """The README's wide picture and table of chapters."""
    titles = "; ".join(chapter.title.partition(" · ")[2] for chapter in found)
    lines = [
        f'<img src="docs/images/{WIDE}.png" width="{WIDTH}" '
        f'alt="One result of each chapter, side by side: {html.escape(titles)}">',
        "",
        "| | chapter | what you see | how long it takes |",
        "|---|---|---|---|",
    ]
    for chapter in found:
        picture = (
            f'<img src="docs/images/{chapter.stem}.png" width="160" '
            f'alt="From chapter {html.escape(f"{chapter.title}: {chapter.picture.description}")}">'
        )
        link = f"[{chapter.title}](notebooks/{chapter.path.name})"
        lines.append(f"| {picture} | {link} | {chapter.sees} | {chapter.minutes} |")
    return "\n".join(lines)


def with_table(readme: str, found: list[Chapter]) -> str:
    """The README's text with its table of chapters renewed."""
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{table(found)}\n\n{END}{after}"


if __name__ == "__main__":
    if "--readme" not in sys.argv:
        draw_all()
    readme = README.read_text(encoding="utf-8")
    README.write_text(with_table(readme, chapters()), encoding="utf-8")
