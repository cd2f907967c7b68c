"""The README, the wide picture, the licences and the version say what is so."""

import re
import subprocess
import sys
import tomllib

import yaml
from PIL import Image

from tests.conftest import CHAPTERS, ROOT
from tests.markdown import pictures

STEMS = [path.stem for path in CHAPTERS]


def test_the_readme_lists_the_chapters_that_are_there(tmp_path):
    """As `make front` writes it: run that, if this fails."""
    sys.path.insert(0, str(ROOT / "docs"))
    try:
        from chapters import chapters
        from front import with_table
    finally:
        sys.path.remove(str(ROOT / "docs"))
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert readme == with_table(readme, chapters()), "make front renews the README's table"
    rows = re.findall(r"\]\(notebooks/(\w+)\.ipynb\)", readme)
    assert rows == STEMS


def test_the_pictures_of_chapters_are_of_these_chapters():
    """Each names in its metadata the chapters that it shows: run `make front`, if this fails."""
    for name, shown in {"all-chapters": STEMS, **{stem: [stem] for stem in STEMS}}.items():
        image = Image.open(ROOT / "docs" / "images" / f"{name}.png")
        assert image.text["Chapters"].split() == shown, "make front renews the pictures"
        assert len(image.convert("RGB").getcolors(1 << 24)) > 16
        assert (ROOT / "docs" / "images" / f"{name}.png").stat().st_size < 300_000


def test_the_readme_s_pictures_and_links_are_there():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = pictures(text)
    assert len(shown) > len(CHAPTERS)
    for picture in shown:
        assert (ROOT / picture.target).is_file()
    for name in ("README.md", "CONTRIBUTING.md"):
        for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / name).read_text(encoding="utf-8")):
            if not target.startswith(("http", "../../issues")):
                assert (ROOT / target).exists(), f"{name}: {target}"


def test_the_readme_takes_two_minutes():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    start = re.sub(r"<[^>]+>|```.*?```", "", text, flags=re.S).split("## Check it")[0]
    assert 100 < len(start.split()) < 2 * 230  # words a minute


def test_one_version_in_all_places():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == version
    assert f"## {version} · {citation['date-released']}" in (ROOT / "CHANGELOG.md").read_text()
    assert citation["authors"] == [{"name": "The Seeing PyTorch authors"}]


def reuse(folder, *arguments):
    command = [sys.executable, "-m", "reuse", "--root", folder, *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def test_every_file_has_a_licence_and_none_is_left_over():
    result = reuse(ROOT, "lint")
    assert result.returncode == 0, result.stdout
    found = reuse(ROOT, "spdx").stdout
    licences = dict(
        re.findall(
            r"FileName: \./(.+?)\n.*?LicenseConcluded: .+?\n"
            r"LicenseInfoInFile: (.+?)\nFileCopyright",
            found,
            re.S,
        )
    )
    of = {
        name: set(re.findall(r"[A-Z][\w.-]*\d[\w.-]*|MIT", text)) for name, text in licences.items()
    }
    assert of["helpers/model.py"] == {"BSD-3-Clause"}
    assert of["README.md"] == {"CC-BY-4.0"}
    assert of[f"notebooks/{CHAPTERS[0].name}"] == {"BSD-3-Clause", "CC-BY-4.0"}
    digits = "data/mnist-sample/train-images-idx3-ubyte.gz"
    assert of[digits] == {"CC-BY-SA-3.0", "MIT"}


def test_a_file_of_an_unknown_licence_is_noticed(tmp_path):
    (tmp_path / "code.py").write_text("# SPDX-License" + "-Identifier: GPL-3.0-only\n")
    result = reuse(tmp_path, "lint")
    assert result.returncode == 1
    assert "GPL-3.0-only" in result.stdout


def test_what_contributors_are_told_is_so():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    told = set(re.findall(r"^\| `make ([\w-]+)[^`|]*` \|", text, re.M))
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True).stdout
    assert told == {line.split()[1] for line in listed.splitlines()} - {"help"}
