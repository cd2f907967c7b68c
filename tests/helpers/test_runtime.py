"""The settings of threads and memory: one home, which make, pytest and a shell read."""

import os
import subprocess

from helpers.runtime import SETTINGS
from tests.conftest import ROOT


def test_they_are_numbers_and_a_policy():
    assert SETTINGS["OMP_WAIT_POLICY"] == "PASSIVE"
    numbers = {name: int(value) for name, value in SETTINGS.items() if name != "OMP_WAIT_POLICY"}
    assert numbers["GOMP_SPINCOUNT"] > 0
    assert set(numbers) == {"GOMP_SPINCOUNT", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"}


def test_make_hands_them_on_unless_the_environment_says_otherwise(tmp_path):
    (tmp_path / "Makefile").write_text("include Makefile\nshow:\n\t@env\n")
    plain = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    for environment in ({}, {"GOMP_SPINCOUNT": "7"}):
        shown = subprocess.run(
            ["make", "-s", "-f", tmp_path / "Makefile", "show"],
            cwd=ROOT,
            env=plain | environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()
        for name, value in (SETTINGS | environment).items():
            assert f"{name}={value}" in shown


def test_a_shell_takes_them_with_the_line_in_the_benchmarks_readme():
    (line,) = [
        line
        for line in (ROOT / "tests/benchmarks/README.md").read_text().splitlines()
        if line.startswith("export ")
    ]
    plain = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    shown = subprocess.run(
        ["sh", "-c", f"{line}; env"], cwd=ROOT, env=plain, capture_output=True, text=True
    ).stdout.splitlines()
    assert {f"{name}={value}" for name, value in SETTINGS.items()} <= set(shown)


def test_the_numbers_stand_nowhere_else():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    own = ("helpers/runtime.env", "tests/helpers/test_runtime.py", "tests/benchmarks/README.md")
    for name in listed.stdout.split("\0"):
        if name and name not in own and not name.endswith((".ipynb", ".png", ".gz", ".json")):
            text = (ROOT / name).read_text(encoding="utf-8", errors="replace")
            assert "3355443" + "2" not in text, name
            assert "GOMP_SPINCOUNT" + "=3" not in text, name
