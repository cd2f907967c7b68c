"""axe-core, Deque's checker of accessible pages, from npm with pinned bytes.

    python tests/browser/axe.py

fetches it once for each environment; the tests do it themselves if that was left out.
"""

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page

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


def serious_findings(page: Page, not_ours: list[str] = (), rules: list[str] = ()) -> list[str]:
    """What hinders a reader, in a line each: but for the selectors and the rules that are named."""
    page.add_script_tag(path=axe_file())
    result = page.evaluate(
        """([exclude, rules]) => axe.run(
            {exclude}, {rules: Object.fromEntries(rules.map(rule => [rule, {enabled: false}]))})""",
        [list(not_ours), list(rules)],
    )
    assert len(result["passes"]) > 10
    return [
        f"{violation['id']} ({violation['impact']}): {node['target']} {node['failureSummary']}"
        for violation in result["violations"]
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]


if __name__ == "__main__":
    try:
        axe_file()
    except AssetsError as error:
        sys.exit(f"axe-core can't be had: {error}")
