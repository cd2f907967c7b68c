"""axe-core, Deque's checker of accessible pages, from npm with pinned bytes.

    python tests/browser/axe.py

fetches it once for each environment; the tests do it themselves if that was left out.
"""

import sys
import tempfile
from pathlib import Path

from helpers.visdom.page import AssetsError, Package, fetch_with_npm

AXE = Package(
    "axe-core",
    "4.14.1",
    "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==",
    {"axe.min.js": "axe.min.js"},
)


def axe_file() -> Path:
    """The script, in the environment's folder for such files; fetched if it isn't there.

    Raises AssetsError if it can't be fetched or isn't what is pinned.
    """
    folder = Path(sys.prefix) / "share" / "seeing-pytorch" / f"axe-core-{AXE.version}"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetching-", dir=folder.parent) as scratch:
            fetch_with_npm((AXE,), Path(scratch) / "axe", Path(scratch))
            (Path(scratch) / "axe").rename(folder)
    return folder / "axe.min.js"


if __name__ == "__main__":
    try:
        axe_file()
    except AssetsError as error:
        sys.exit(f"axe-core can't be had: {error}")
