"""What the slides need from npm, with pinned bytes, so that they ask no CDN.

    python docs/assets.py

fetches it once for each environment; `make slides` does it by itself.
"""

import sys
import tempfile
from pathlib import Path

from helpers.visdom.page import AssetsError, Package, fetch_with_npm

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
        assets_folder(REVEAL)
    except AssetsError as error:
        sys.exit(f"The slides' scripts can't be had: {error}")
