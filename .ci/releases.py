"""Run the tests of chapters and helpers on other releases than the pinned ones.

    python .ci/releases.py newest|lowest [--resolve]

makes an environment of its own in .venv-newest or .venv-lowest, with the newest releases that
pyproject.toml allows or the lowest that it asks for, runs the tests in it, and says per chapter
what broke, on the screen and in broken.md. With --resolve it only says which releases.
"""

import os
import re
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ElementTree
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REPORT = ROOT / "broken.md"
CHAPTER = re.compile(r"\d\d_\w+?(?=\]|$|\.|-)")


def environment(kind: str) -> Path:
    """Make the environment anew, with pip alone; returns its Python."""
    folder = ROOT / f".venv-{kind}"
    subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
    return folder / "bin" / "python"


def pip_indexes(python: Path) -> dict[str, str]:
    """What pip's own configuration says of indexes, in uv's words."""
    listed = subprocess.run(
        [python, "-m", "pip", "config", "list"], capture_output=True, text=True
    ).stdout
    names = {
        "index-url": "UV_DEFAULT_INDEX",
        "extra-index-url": "UV_INDEX",
        "find-links": "UV_FIND_LINKS",
    }
    found = dict(re.findall(r"^global\.([\w-]+)='(.*)'$", listed, re.M))
    return {names[key]: value.replace("\\n", " ") for key, value in found.items() if key in names}


def resolve(python: Path, kind: str) -> list[str]:
    """The releases to install, as pip's requirements. Raises CalledProcessError if there are none.

    "lowest" takes the lowest release of what pyproject.toml names, and the newest that goes with
    it of all the rest, which is what somebody has who updates as little as the course allows.
    """
    subprocess.run([python, "-m", "pip", "install", "--quiet", "uv"], check=True)
    build = python.parent.parent / "build.txt"
    # 82 dropped pkg_resources, with which visdom 0.2.4 builds and TensorBoard before 2.21 starts.
    build.write_text("setuptools<82\n")
    command = [python, "-m", "uv", "pip", "compile", "pyproject.toml", "--extra=test", "--quiet"]
    command += ["--no-header", "--no-annotate", f"--build-constraint={build}"]
    command += ["--index-strategy=unsafe-best-match", f"--python={python}"]
    if kind == "lowest":
        command += ["--resolution=lowest-direct", f"--constraint={build}"]
    # In one process: a broken package's error is then the last thing said.
    result = subprocess.run(
        command, cwd=ROOT, env=os.environ | pip_indexes(python), stdout=subprocess.PIPE, text=True
    )
    result.check_returncode()
    return result.stdout.split("\n")


def install(python: Path, requirements: list[str]) -> None:
    """Install the releases, and the course as it lies here."""
    listed = python.parent.parent / "requirements.txt"
    listed.write_text("\n".join(requirements))
    pip = [python, "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, "setuptools<82", "wheel"], check=True)
    # With its own build tools; the others with these, for visdom's setup.py needs old ones.
    subprocess.run([*pip, "--constraint", listed, "reuse"], check=True)
    subprocess.run([*pip, "--no-build-isolation", "--requirement", listed], check=True)
    subprocess.run([*pip, "--no-deps", "--editable", ROOT], check=True)


def run_tests(python: Path, kind: str) -> Path:
    """Run the tests that a release can break; returns the file of their results."""
    results = python.parent.parent / "results.xml"
    results.unlink(missing_ok=True)
    command = [python, "-m", "pytest", "tests/chapters", "tests/helpers", f"--junitxml={results}"]
    if kind == "lowest":  # the records are what the pinned releases draw and round
        command += ["--ignore=tests/chapters/test_records.py"]
    subprocess.run([*command, "-q", "--tb=short"], cwd=ROOT)
    return results


def broken(results: Path) -> dict[str, list[str]]:
    """What failed, {chapter or "the helpers": ["test: last line of its error", ...]}."""
    found: dict[str, list[str]] = {}
    for case in ElementTree.parse(results).iter("testcase"):
        for failure in [*case.findall("failure"), *case.findall("error")]:
            name = f"{case.get('classname', '')}.{case.get('name', '')}"
            chapter = CHAPTER.search(name)
            where = chapter.group(0).removeprefix("test_") if chapter else "the helpers"
            said = (failure.get("message") or failure.text or "without a word").strip()
            found.setdefault(where, []).append(f"{case.get('name')}: {said.splitlines()[0][:300]}")
    return found


def report(kind: str, found: dict[str, list[str]], releases: list[str]) -> str:
    """The text for a person, and for the issue."""
    direct = {
        re.split(r"[<>=!~; \[]", text)[0].lower()
        for text in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    }
    taken = [line for line in releases if line.split("==")[0].lower() in direct]
    lines = [f"On the {kind} releases, this broke:", ""]
    for chapter, failures in sorted(found.items()):
        lines += [f"**{chapter}**", "", *(f"- {failure}" for failure in failures), ""]
    return "\n".join([*lines, "The releases: " + ", ".join(taken), ""])


def main(kind: str, only_resolve: bool) -> int:
    REPORT.unlink(missing_ok=True)
    python = environment(kind)
    try:
        releases = resolve(python, kind)
        if only_resolve:
            print("\n".join(releases))
            return 0
        install(python, releases)
    except subprocess.CalledProcessError as error:
        command = " ".join(map(str, error.cmd[:6]))
        found = {"nothing could be installed": [f"{command} ... ended with {error.returncode}"]}
        releases = []
    else:
        results = run_tests(python, kind)
        if not results.exists():
            found = {"the tests": ["pytest ended without results"]}
        else:
            found = broken(results)
    if not found:
        print(f"All chapters work on the {kind} releases.")
        return 0
    REPORT.write_text(report(kind, found, releases), encoding="utf-8")
    print(REPORT.read_text(encoding="utf-8"))
    return 1


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in ("newest", "lowest"):
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], "--resolve" in sys.argv))
