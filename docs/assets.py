"""What the slides need from npm, with pinned bytes, so that they ask no CDN.

    python docs/assets.py

fetches it once for each environment; `make slides` does it by itself.
"""

import sys

from helpers.visdom.page import AssetsError, Package, npm_folder

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


if __name__ == "__main__":
    try:
        npm_folder(REVEAL)
    except AssetsError as error:
        sys.exit(f"The slides' scripts can't be had: {error}")
