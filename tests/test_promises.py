"""Every row of PROMISES.md names tests, and each of them exists."""

import ast
import re

from tests.conftest import ROOT

ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (ROOT / "tests" / "PROMISES.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("|") and not re.match(r"\|(-|\s*what happens)", line)
]


def functions(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_row_says_what_happens_what_is_seen_and_which_test_does_it():
    assert len(ROWS) > 40
    for row in ROWS:
        assert len(row) == 3, row
        assert all(row), row
        assert re.fullmatch(r"(`[\w/]+\.py::test_\w+` ?)+", row[2]), row


def test_every_test_that_is_named_exists():
    for *_, tests in ROWS:
        for file, name in re.findall(r"`([\w/]+\.py)::(\w+)`", tests):
            path = ROOT / "tests" / file
            assert path.is_file(), f"PROMISES.md names {file}"
            assert name in functions(path), f"PROMISES.md names {file}::{name}"
