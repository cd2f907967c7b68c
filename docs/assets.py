"""What the site and the slides need from npm, with pinned bytes, so that neither asks a CDN.

    python docs/assets.py

fetches it once for each environment; `make site` and `make slides` do it themselves.
"""

import sys
import tempfile
from pathlib import Path

from helpers.visdom.page import AssetsError, Package, fetch_with_npm

FONTS = (
    *(f"Main-{style}" for style in ("Bold", "Italic", "Regular")),
    *(f"Math-{style}" for style in ("BoldItalic", "Italic", "Regular")),
    *(f"SansSerif-{style}" for style in ("Bold", "Italic", "Regular")),
    *(f"Calligraphic-{style}" for style in ("Bold", "Regular")),
    *(f"Fraktur-{style}" for style in ("Bold", "Regular")),
    *(f"Size{number}-Regular" for number in range(1, 5)),
    *(f"Vector-{style}" for style in ("Bold", "Regular")),
    "AMS-Regular",
    "Script-Regular",
    "Typewriter-Regular",
    "Zero",
)

MATHJAX = Package(
    "mathjax",
    "3.2.2",
    "Bt+SSVU8eBG27zChVewOicYs7Xsdt40qm4+UpHyX7k0/O9NliPc+x77k1/FEsPsjKPZGJvtRZM1vO+geW0OhGw==",
    {
        f"es5/{name}": f"mathjax/{name}"
        for name in (
            "tex-chtml.js",
            *(f"output/chtml/fonts/woff-v2/MathJax_{font}.woff" for font in FONTS),
        )
    },
)

REVEAL = Package(
    "reveal.js",
    "5.1.0",
    "KDt7m0+xwKV6nAZt4CNPVFBf42sTKRQapg0bGGKB5PKO5XvChnMfwlZkybydHiQJ7p5+6LbHKRGrhXODdoNIaA==",
    {
        name: name
        for name in (
            "LICENSE",
            "dist/reset.css",
            "dist/reveal.css",
            "dist/reveal.js",
            "dist/theme/white.css",
            "dist/theme/fonts/source-sans-pro/LICENSE",
            "dist/theme/fonts/source-sans-pro/source-sans-pro.css",
            *(
                f"dist/theme/fonts/source-sans-pro/source-sans-pro-{style}.woff"
                for style in ("regular", "italic", "semibold", "semibolditalic")
            ),
            "plugin/notes/notes.js",
        )
    },
)


def assets_folder(package: Package) -> Path:
    """The package's files, in the environment's folder for such files; fetched if need be.

    Raises AssetsError if they can't be fetched or aren't what is pinned.
    """
    folder = Path(sys.prefix) / "share" / "seeing-pytorch" / f"{package.name}-{package.version}"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetching-", dir=folder.parent) as scratch:
            fetch_with_npm((package,), Path(scratch) / "files", Path(scratch))
            (Path(scratch) / "files").rename(folder)
    return folder


if __name__ == "__main__":
    try:
        for wanted in (MATHJAX, REVEAL):
            assets_folder(wanted)
    except AssetsError as error:
        sys.exit(f"The site's scripts can't be had: {error}")
