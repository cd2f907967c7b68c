"""Plant mistakes all over the course, one at a time, and print the share that the tests catch.

    python tests/mutants.py                        # some 130 mutants; takes an hour or more
    python tests/mutants.py --parts prose,pictures --each 10
    python tests/mutants.py --list                 # what would be planted

A mutant is made by a rule, wherever the rule applies, and drawn by lot with a fixed seed; nothing
is picked. Each is planted in a copy of the checkout, and the smallest set of tests that could see
it is run there. A mutant that the tests let pass is printed with its place.
"""

import argparse
import ast
import contextlib
import importlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import nbformat
import pytest
from PIL import Image, ImageOps

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import tests.conftest  # noqa: E402, F401  # sets what torch reads once, when it is loaded
from tests.records.compare import NUMBER  # noqa: E402
from tests.records.prose import NUMBER as NUMBER_IN_PROSE  # noqa: E402
from tests.records.prose import VALUES  # noqa: E402

PATIENCE = 400
"""Seconds after which a mutant that keeps the tests from ending counts as caught."""

LIBRARIES = (
    "torch torch.export torchvision sklearn.datasets sklearn.decomposition sklearn.metrics "
    "papermill matplotlib.pyplot hiddenlayer torchviz tensorboardX visdom nbval.plugin psutil "
    "requests yaml tensorboard.backend.event_processing.event_accumulator"
)
"""What the tests import and no mutant changes."""

NBVAL = ["--nbval", "--nbval-sanitize-with", "tests/nbval.cfg", "--nbval-kernel-name", "python3"]
NBVAL += ["-p", "tests.records.stored"]
"""What `make nbval` gives pytest."""

PARTS = {"helpers": 30, "chapters": 30, "outputs": 20, "prose": 20, "pictures": 10, "set-up": 20}
"""How many mutants of each part are planted."""


@dataclass
class Mutant:
    """One mistake: the file, what to do there, in a line."""

    path: Path
    what: str
    plant: Callable[[Path], None]
    cell: int = -1


# ---- Python code: helpers, and the chapters' cells ----

OPERATORS = {
    ast.Eq: "!=",
    ast.NotEq: "==",
    ast.Lt: "<=",
    ast.LtE: "<",
    ast.Gt: ">=",
    ast.GtE: ">",
    ast.In: "not in",
    ast.NotIn: "in",
    ast.Is: "is not",
    ast.IsNot: "is",
    ast.Add: "-",
    ast.Sub: "+",
    ast.Mult: "/",
    ast.Div: "*",
    ast.FloorDiv: "*",
    ast.BitOr: "&",
}


def code_mutants(source: str, strings: bool) -> Iterator[tuple[str, str]]:
    """Each changed source and what was changed, one mistake at a time.

    An operator becomes its opposite, a number grows by one, True becomes False, ``and`` becomes
    ``or``, a condition is turned round, a statement is left out, and, with ``strings``, two texts
    that follow each other change places.
    """
    tree = ast.parse(source)
    lines = source.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))

    def at(line: int, column: int) -> int:
        return starts[line - 1] + len(lines[line - 1].encode()[:column].decode())

    def span(node: ast.AST) -> tuple[int, int]:
        return at(node.lineno, node.col_offset), at(node.end_lineno, node.end_col_offset)

    def changed(start: int, end: int, new: str) -> tuple[str, str]:
        old = source[start:end]
        number = source[:start].count("\n") + 1
        return source[:start] + new + source[end:], f"line {number}: {old!r} -> {new!r}"

    def between(left: ast.AST, right: ast.AST, new: str) -> tuple[str, str]:
        start, end = span(left)[1], span(right)[0]
        words = source[start:end]
        mark = re.search(r"not in|is not|in|is|[-+*/|<>=!]+", words)
        return changed(start + mark.start(), start + mark.end(), new)

    docstrings = {  # of modules, classes, functions, and of the names that they follow
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    texts = []
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            docstrings |= {id(part) for part in ast.walk(node)}  # has no place of its own
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and type(node.ops[0]) in OPERATORS:
            yield between(node.left, node.comparators[0], OPERATORS[type(node.ops[0])])
        elif isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
            if id(node) not in docstrings:
                yield between(node.left, node.right, OPERATORS[type(node.op)])
        elif isinstance(node, ast.BoolOp) and len(node.values) == 2:
            start, end = span(node.values[0])[1], span(node.values[1])[0]
            words = source[start:end]
            new = (
                words.replace(" and ", " or ") if " and " in words else words.replace("or ", "and ")
            )
            yield changed(start, end, new)
        elif isinstance(node, ast.Constant) and id(node) not in docstrings:
            if isinstance(node.value, bool):
                yield changed(*span(node), str(not node.value))
            elif isinstance(node.value, int | float):
                more = node.value + 1 if isinstance(node.value, int) else node.value * 1.5 or 1.0
                yield changed(*span(node), repr(more))
            elif isinstance(node.value, str) and strings:
                texts.append(node)
        elif isinstance(node, ast.If | ast.IfExp | ast.While):
            start, end = span(node.test)
            yield changed(start, end, f"not ({source[start:end]})")
        elif isinstance(node, ast.Expr | ast.AugAssign | ast.Raise) and (
            not isinstance(node, ast.Expr) or id(node.value) not in docstrings
        ):
            yield changed(*span(node), "pass")
    texts.sort(key=lambda node: (node.lineno, node.col_offset))
    for one, other in pairwise(texts):
        (a, b), (c, d) = span(one), span(other)
        if source[a:b] != source[c:d] and b <= c:
            new = source[:a] + source[c:d] + source[b:c] + source[a:b] + source[d:]
            line = source[:a].count("\n") + 1
            yield new, f"line {line}: {source[a:b]} and {source[c:d]} swapped"


def writer(text: str) -> Callable[[Path], None]:
    return lambda path: path.write_text(text, encoding="utf-8")


def helpers() -> Iterator[Mutant]:
    for path in sorted((ROOT / "helpers").rglob("*.py")):
        for text, what in code_mutants(path.read_text(encoding="utf-8"), strings=False):
            yield Mutant(path, what, writer(text))


def in_cell(number: int, change: Callable[[dict], None]) -> Callable[[Path], None]:
    """A mutant that changes one cell of a chapter."""

    def plant(path: Path) -> None:
        notebook = nbformat.read(path, as_version=4)
        change(notebook.cells[number])
        nbformat.write(notebook, path)

    return plant


def cells(kind: str) -> Iterator[tuple[Path, int, dict]]:
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        for number, cell in enumerate(nbformat.read(path, as_version=4).cells):
            if cell.cell_type == kind:
                yield path, number, cell


def set_source(text: str) -> Callable[[dict], None]:
    return lambda cell: cell.update(source=text)


def chapters() -> Iterator[Mutant]:
    """Code of the chapters, but for the parameters, which are the reader's to change."""
    for path, number, cell in cells("code"):
        if "parameters" not in cell.metadata.get("tags", []):
            for text, what in code_mutants(cell.source, strings=True):
                yield Mutant(path, f"cell {number}, {what}", in_cell(number, set_source(text)))


# ---- what is stored ----


def other_number(number: str) -> str:
    """A number with another first digit that counts, or another word."""
    if number.lower() in VALUES:
        words = list(VALUES)
        new = words[(words.index(number.lower()) + 1) % len(words)]
        return new.capitalize() if number[0].isupper() else new
    first = re.search("[1-9]", number)
    if not first:
        return number[:-1] + "1"
    return number[: first.start()] + str(int(first[0]) % 9 + 1) + number[first.end() :]


def outputs() -> Iterator[Mutant]:
    """A number in a stored text, a picture's place, a box's name in a graph."""
    pictures = {}
    for path, number, cell in cells("code"):
        for index, output in enumerate(cell.outputs):
            data = output.get("data", {})
            kept = {"text": output.get("text"), "text/plain": data.get("text/plain")}
            for key, text in kept.items():
                for found in NUMBER.finditer(text or ""):
                    new = text[: found.start()] + other_number(found[0]) + text[found.end() :]

                    def change(cell, key=key, new=new, index=index):
                        where = cell.outputs[index]
                        (where if key == "text" else where["data"])[key] = new

                    what = f"cell {number}, {found[0]} in {text[:40]!r}"
                    yield Mutant(path, what, in_cell(number, change), number)
            if "image/svg+xml" in data:
                svg = data["image/svg+xml"]
                for found in re.finditer(r">([^<>\s][^<>]*)</text>", svg):
                    new = svg[: found.start(1)] + found[1][::-1] + svg[found.end(1) :]

                    def change(cell, new=new, index=index):
                        cell.outputs[index]["data"]["image/svg+xml"] = new

                    if found[1] != found[1][::-1] and "&" not in found[1]:
                        what = f"cell {number}, {found[1]!r} turned round"
                        yield Mutant(path, what, in_cell(number, change), number)
            if "image/png" in data:
                pictures.setdefault(path, []).append((number, index, data["image/png"]))
    for path, drawn in pictures.items():
        for (number, index, _), (other, _, png) in zip(drawn, drawn[1:] + drawn[:1], strict=True):

            def change(cell, index=index, png=png):
                cell.outputs[index]["data"]["image/png"] = png

            if number != other:
                what = f"cell {number} shows the picture of cell {other}"
                yield Mutant(path, what, in_cell(number, change), number)


def prose() -> Iterator[Mutant]:
    """A number in a sentence, a link's target, a picture's place, a picture's description."""
    links, shown = {}, {}
    for path, number, cell in cells("markdown"):
        text = cell.source
        plain = re.sub(r"`[^`]*`|\]\([^)]*\)|### \d\.", lambda m: " " * len(m[0]), text)
        for found in NUMBER_IN_PROSE.finditer(plain):
            new = text[: found.start()] + other_number(found[0]) + text[found.end() :]
            around = text[max(0, found.start() - 30) : found.end() + 10]
            what = f"cell {number}, number {found[0]} in {around!r}"
            yield Mutant(path, what, in_cell(number, set_source(new)))
        for found in re.finditer(r"(?<!!)\[[^\]]+\]\(([^)]+)\)", text):
            links.setdefault(path, []).append((number, text, found))
        for found in re.finditer(r"<img[^>]+>", text):
            shown.setdefault(path, []).append((number, text, found))
    for kind, group, found in (("link", 1, links), ("picture", 0, shown)):
        for path, places in found.items():
            for (number, text, here), (_, _, there) in pairwise(places):
                if here[group] != there[group]:
                    new = text[: here.start(group)] + there[group] + text[here.end(group) :]
                    what = f"cell {number}, {kind} {here[group][:60]} -> {there[group][:60]}"
                    yield Mutant(path, what, in_cell(number, set_source(new)))


def pictures() -> Iterator[Mutant]:
    """A stored picture of a page: another's, mirrored, its upper half."""
    paths = sorted((ROOT / "notebooks" / "images").glob("*.png"))
    for path, other in zip(paths, paths[1:] + paths[:1], strict=True):
        content = other.read_bytes()
        yield Mutant(path, f"is {other.name}", lambda p, content=content: p.write_bytes(content))
        yield Mutant(path, "mirrored", lambda p: ImageOps.mirror(Image.open(p)).save(p))
        yield Mutant(path, "upside down", lambda p: ImageOps.flip(Image.open(p)).save(p))


def set_up() -> Iterator[Mutant]:
    """A line left out, a version one further, a bound taken away."""
    names = ("environment.yml", "pyproject.toml", "constraints.txt", "Makefile", ".ci/run")
    names += ("tests/nbval.cfg", "helpers/runtime.env", "tests/arithmetic.env")
    for path in (ROOT / name for name in names):
        text = path.read_text(encoding="utf-8")
        lines = text.splitlines(keepends=True)
        for number, line in enumerate(lines):
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            if path.name == "Makefile" and not line.startswith("\t"):
                continue
            if path.name == "constraints.txt" and number % 8:  # as many as of the others
                continue
            without = "".join(lines[:number] + lines[number + 1 :])
            yield Mutant(path, f"without line {number + 1}: {line.strip()}", writer(without))
        for found in re.finditer(r"(?<=[=\w]=)\d+(\.\d+)*|,<[\d.]+|regex: \S+", text):
            new = f"regex: {NUMBER.pattern}" if found[0][0] == "r" else ""
            if found[0][0].isdigit():
                *before, last = found[0].split(".")
                new = ".".join([*before, str(int(last) + 1)])
            number = text[: found.start()].count("\n") + 1
            if path.name != "constraints.txt":
                changed = text[: found.start()] + new + text[found.end() :]
                yield Mutant(path, f"line {number}: {found[0]!r} -> {new!r}", writer(changed))


# ---- the tests that could see it ----


def tests_of(part: str, mutant: Mutant) -> list[list[str]]:
    """Commands for pytest, the quickest first."""
    stem = mutant.path.stem
    own = ["tests/chapters/test_prose.py", "tests/chapters/test_every_chapter.py"]
    if part == "helpers":
        inside = mutant.path.relative_to(ROOT / "helpers")
        folder = ROOT / "tests" / "helpers" / inside.parent
        file = folder / f"test_{inside.name}"
        first = [[str(file.relative_to(ROOT))]] if file.exists() else []
        name = inside.parts[0].removesuffix(".py")
        using = {path.stem for path, _, cell in cells("code") if f"helpers.{name}" in cell.source}
        using |= {path.stem for path, _, cell in cells("code") if f"import {name}" in cell.source}
        # What all of them use, a training sees.
        chosen = " or ".join(sorted(using)) if len(using) < 3 else ""
        chapters = ["tests/chapters/test_records.py", "tests/chapters", "-k", chosen or "02_"]
        inner = [[str(folder.relative_to(ROOT))]] if len(inside.parts) > 1 else []
        return [*first, *inner, chapters]
    if part == "chapters":
        stored = [*NBVAL, str(mutant.path.relative_to(ROOT))]
        return [["tests/chapters/test_records.py", "tests/chapters", "-k", stem], stored]
    if part == "prose":
        return [[*own, "-k", f"{stem} and not papermill and not solution"], [own[0]]]
    if part == "pictures":
        return [["tests/browser/test_pictures.py", own[0], "-k", "picture"]]
    return [
        ["tests/test_whole_set_up.py", "tests/test_setup.py"],
        ["tests/helpers/test_runtime.py", "tests/helpers/test_imports.py"],
    ]


class Copy:
    """A copy of the checkout, in which one mutant at a time is planted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split("\0")
        for name in filter(None, listed):
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)
        self.shown = folder / "shown"
        self.red_before: dict[str, list[str]] = {}

    def pytest(self, *arguments: str) -> tuple[int, str]:
        """Run pytest in the copy; its status and what it printed.

        In a fork of this process, which has the libraries at hand: that saves their import.
        """
        with tempfile.TemporaryFile() as printed:
            child = os.fork()
            if not child:
                os.setsid()
                os.dup2(printed.fileno(), 1)
                os.dup2(printed.fileno(), 2)
                os._exit(self._pytest_here(arguments))
            end = time.monotonic() + PATIENCE
            ended = os.WEXITED | os.WNOWAIT | os.WNOHANG
            try:
                while os.waitid(os.P_PID, child, ended) is None and time.monotonic() < end:
                    time.sleep(0.1)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child, signal.SIGKILL)  # and whatever it started
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            printed.seek(0)
            return status, printed.read().decode(errors="replace")

    def _pytest_here(self, arguments: tuple[str, ...]) -> int:
        os.chdir(self.folder)
        os.environ |= {"PYTHONPATH": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1"}
        os.environ["KEEP_SHOWN"] = str(self.shown)
        sys.dont_write_bytecode = True
        for name in list(sys.modules):  # this checkout's own: the copy has others
            if name.partition(".")[0] in ("tests", "helpers"):
                del sys.modules[name]
        sys.path[:] = [str(self.folder), *(p for p in sys.path if p not in (str(ROOT), ""))]
        try:
            status = int(pytest.main(["-q", "-p", "no:cacheprovider", *arguments]))
        except BaseException:
            status = 1
        sys.stdout.flush()
        return status

    def deselected(self, arguments: list[str]) -> list[str]:
        """Options that leave out what is red without any mutant, which proves nothing."""
        key = " ".join(arguments)
        if key not in self.red_before:
            _, output = self.pytest(*arguments)
            red = re.findall(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", output, re.M)
            for test in red:
                print(f"    red without a mutant, left out: {test}", flush=True)
            self.red_before[key] = [f"--deselect={test}" for test in red]
        return self.red_before[key]

    def catches(self, part: str, mutant: Mutant) -> bool:
        target = self.folder / mutant.path.relative_to(ROOT)
        if part == "outputs":
            return self.catches_output(mutant, target)
        before = target.read_bytes()
        for arguments in tests_of(part, mutant):
            left_out = self.deselected(arguments)
            mutant.plant(target)
            try:
                status, _ = self.pytest("-x", *left_out, *arguments)
            finally:
                target.write_bytes(before)
            if status not in (0, 5):
                return True
        if part == "set-up":  # what `make lint` would say
            mutant.plant(target)
            try:
                for check in (["check", "."], ["format", "--check", "."]):
                    command = [sys.executable, "-m", "ruff", *check]
                    if subprocess.run(command, cwd=self.folder, capture_output=True).returncode:
                        return True
            finally:
                target.write_bytes(before)
        return False

    def catches_output(self, mutant: Mutant, target: Path) -> bool:
        """What nbval and its plugin would say, after one run of each chapter."""
        from tests.records.stored import unlike

        if not self.shown.exists():
            self.shown.mkdir()
            for path in sorted((self.folder / "notebooks").glob("*.ipynb")):
                name = str(path.relative_to(self.folder))
                _, output = self.pytest(*NBVAL, name)
                print(f"    {name}: {output.strip().splitlines()[-1]}", flush=True)
        before = target.read_bytes()
        mutant.plant(target)
        try:
            cell = nbformat.read(target, as_version=4).cells[mutant.cell]
        finally:
            target.write_bytes(before)
        fresh = json.loads((self.shown / f"{target.stem}-{mutant.cell}.json").read_text())
        exact = "nbval-ignore-output" not in cell.metadata.get("tags", [])
        return bool(unlike(cell.outputs, fresh, exact, cell.source))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--parts", default=",".join(PARTS), help="some of: %(default)s")
    parser.add_argument("--each", type=int, help="mutants of each part")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--list", action="store_true", help="plant nothing")
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the copy is removed
    makers = {
        "helpers": helpers,
        "chapters": chapters,
        "outputs": outputs,
        "prose": prose,
        "pictures": pictures,
        "set-up": set_up,
    }
    for name in LIBRARIES.split() if not chosen.list else ():
        importlib.import_module(name)
    table, survivors = [], []
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copy = None if chosen.list else Copy(Path(folder).resolve())
        for part in chosen.parts.split(","):
            possible = list(makers[part]())
            number = min(chosen.each or PARTS[part], len(possible))
            drawn = random.Random(chosen.seed).sample(possible, number)
            caught = 0
            for mutant in drawn:
                line = f"{part:9} {mutant.path.relative_to(ROOT)}: {mutant.what}"
                if copy is None:
                    print(line)
                    continue
                seen = copy.catches(part, mutant)
                caught += seen
                print(f"{'caught ' if seen else 'PASSED '} {line}", flush=True)
                if not seen:
                    survivors.append(line)
            table.append((part, len(possible), number, caught))
    if not chosen.list:
        print(f"\n{'part':9} {'possible':>8} {'planted':>8} {'caught':>7} {'share':>6}")
        for part, possible, number, caught in table:
            print(f"{part:9} {possible:8} {number:8} {caught:7} {caught / number:6.0%}")
        print("\nNot caught:", *survivors, sep="\n")


if __name__ == "__main__":
    main()
