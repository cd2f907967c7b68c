"""axe-core, Deque's checker of accessible pages, from npm with pinned bytes.

    python tests/browser/axe.py

fetches it once for each environment; the tests do it themselves if that was left out.
"""

import sys

from playwright.sync_api import Page

from helpers.visdom.page import AssetsError, Package, npm_folder

AXE = Package(
    "axe-core",
    "4.14.1",
    "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==",
    {"axe.min.js": "axe.min.js"},
)


def serious_findings(page: Page, not_ours: list[str] = (), rules: list[str] = ()) -> list[str]:
    """What hinders a reader, in a line each: but for the selectors and the rules that are named."""
    page.add_script_tag(path=npm_folder(AXE) / "axe.min.js")
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
        npm_folder(AXE)
    except AssetsError as error:
        sys.exit(f"axe-core can't be had: {error}")
