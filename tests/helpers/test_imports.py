"""Who may know whom in helpers: the arrows between its files lead one way."""

import ast
from graphlib import TopologicalSorter

import pytest

from tests.conftest import ROOT

HELPERS = ROOT / "helpers"
EXPERIMENT = {"model", "data", "device", "chapter", "runtime", "values", "files"}
TOOLS = {"clinic", "dask", "hiddenlayer", "torchviz", "tensorboard", "eventfiles", "visdom"}
CHECKS = {"checks"}
"""The checks of the exercises: they may know everybody, and nobody knows them."""
FILES = {
    ".".join(path.relative_to(HELPERS).with_suffix("").parts): path
    for path in sorted(HELPERS.rglob("*.py"))
    if path != HELPERS / "__init__.py"
}


def imported(path):
    """The files of helpers that a file imports, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            package, *rest = name.split(".")
            while package == "helpers" and rest:
                found = [n for n in (".".join(rest), ".".join([*rest, "__init__"])) if n in FILES]
                if found:
                    yield found[0]
                    break
                rest.pop()


IMPORTS = {name: set(imported(path)) - {name} for name, path in FILES.items()}


def part(name):
    return name.split(".")[0]


def test_every_file_belongs_to_a_part():
    assert {part(name) for name in FILES} == EXPERIMENT | TOOLS | CHECKS | {"pages", "update"}


@pytest.mark.parametrize("name", FILES)
def test_a_file_knows_only_whom_it_may(name):
    if part(name) in EXPERIMENT:
        allowed = EXPERIMENT
    elif part(name) in CHECKS:
        allowed = EXPERIMENT | TOOLS | CHECKS
    elif part(name) in TOOLS:
        allowed = EXPERIMENT | {"pages", part(name)}
    else:
        allowed = {"pages"}
    assert {part(other) for other in IMPORTS[name]} <= allowed


def test_no_two_files_import_each_other_not_even_around_a_corner():
    TopologicalSorter(IMPORTS).prepare()  # raises CycleError


def test_the_arrows_are_found():
    assert {"visdom.client", "visdom.page", "pages.server"} <= IMPORTS["visdom.server"]
    assert "hiddenlayer.panels" in IMPORTS["hiddenlayer.canvas"]
    assert "data" in IMPORTS["model"]


def test_a_helpers_tests_are_found_by_its_path():
    for name in FILES:
        *folder, file = name.split(".")
        if not file.startswith("__"):
            tests = ROOT.joinpath("tests", "helpers", *folder, f"test_{file}.py")
            assert tests.is_file(), f"helpers/{name.replace('.', '/')}.py has no {tests.name}"
