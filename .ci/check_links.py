"""Ask every address that chapters and pages link to whether it is still there.

    python .ci/check_links.py

An address counts as gone if it says so (404, 410) or its host isn't found; what is slow, or wants
no robots, is mentioned and left. Writes broken.md if something is gone. Needs nothing installed.
"""

import json
import re
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ADDRESS = re.compile(r"\]\((https?://[^)\s]+)\)")
LEFT_OUT = ("127.0.0.1", "localhost")


def addresses(root: Path) -> dict[str, list[str]]:
    """{address: files that link to it} of all Markdown, in files and in notebooks."""
    found: dict[str, list[str]] = {}
    for path in sorted([*root.rglob("*.md"), *root.rglob("*.ipynb")]):
        name = path.relative_to(root).as_posix()
        if name.startswith((".venv", "docs/_build", "data/outputs")) or "/.ipynb_" in name:
            continue
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".ipynb":
            cells = json.loads(text)["cells"]
            text = "\n".join(
                "".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"
            )
        for address in ADDRESS.findall(text):
            if not any(host in address for host in LEFT_OUT):
                found.setdefault(address.partition("#")[0], []).append(name)
    return found


def ask(address: str) -> str:
    """ "" if the address answers, "gone: ..." if it is gone, "unclear: ..." otherwise."""
    request = urllib.request.Request(address, headers={"User-Agent": "Mozilla/5.0 (link check)"})
    try:
        with urllib.request.urlopen(request, timeout=30):
            return ""
    except urllib.error.HTTPError as error:
        return f"{'gone' if error.code in (404, 410) else 'unclear'}: status {error.code}"
    except urllib.error.URLError as error:
        unknown = "not known" in str(error.reason) or "No address" in str(error.reason)
        return f"{'gone' if unknown else 'unclear'}: {error.reason}"
    except OSError as error:
        return f"unclear: {error}"


def main(root: Path) -> int:
    found = addresses(root)
    with ThreadPoolExecutor(8) as pool:
        answers = dict(zip(found, pool.map(ask, found), strict=True))
    lines = [
        f"- <{address}> {answer} (in {', '.join(sorted(set(found[address])))})"
        for address, answer in answers.items()
        if answer
    ]
    gone = [line for line in lines if "> gone" in line]
    print(f"{len(found)} addresses, {len(gone)} gone", *lines, sep="\n")
    if gone:
        (root / "broken.md").write_text("\n".join(gone) + "\n", encoding="utf-8")
    return bool(gone)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT))
