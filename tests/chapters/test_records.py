"""What each chapter's run says is what is recorded of it, in ``records/``.

``make records`` renews the records after an intended change; ``git diff`` then shows what changed
in what the chapters say, and is what there is to read.
"""

import re
from pathlib import Path

import pytest

from tests.arithmetic import ROUNDED_ALIKE
from tests.conftest import CHAPTERS
from tests.records import compare, says
from tests.records.compare import differences

RECORDS = Path(__file__).with_name("records")
BY_THE_CLOCK = {"06_many_runs"}
"""Chapters whose runs end in the order, and after the seconds, that the machine gives them."""

chapters = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
repeatable = pytest.mark.parametrize(
    "path",
    [path for path in CHAPTERS if ROUNDED_ALIKE or path.stem.startswith("01")],
    ids=lambda path: path.stem,
)


def without_the_clock(text: str) -> str:
    """What is left when seconds are left out, and what is drawn has no order."""
    text = re.sub(r"(?m)^(code|worker|started|seconds|cpu_seconds)\b.*\n", "", text)
    text = re.sub(r'File "[^"]*(/helpers/[^"]*)", line \d+', r'File "\1"', text)
    blocks = re.split(r"(?m)^(?=  axes |figure |## |\[)", text)
    for number, block in enumerate(blocks):
        if re.search(r"\bs(econds)?\b", block):
            block = re.sub(r"( ~|\bticks) .*", r"\1", re.sub(r"~[\d.]+", "~", block))
        head, *drawn = re.split(r"(?m)^(?=    [a-z]+ \".*\" #)", block)
        drawn = [re.sub(r'"_child\d+"|(?<= ~ )[-\d. e+]+', in_no_order, one) for one in drawn]
        drawn.sort(key=lambda one: (one.split("\n")[1:], one))
        blocks[number] = "\n".join(part.strip("\n") for part in (head, *drawn))
    return "\n".join(blocks)


def in_no_order(match: re.Match) -> str:
    """Numbers sorted; of an automatic name, that there is one."""
    if match[0].startswith('"'):
        return '"_child"'
    return " ".join(sorted(match[0].split(), key=float))


def check(name: str, now: str) -> None:
    """Compare a chapter's text with its record, or renew that."""
    if name.split(".")[0] in BY_THE_CLOCK:
        now = without_the_clock(now)
    compare.check(RECORDS / name, now)


@repeatable
def test_outputs_and_figures_are_those_recorded(path, run_chapter):
    check(f"{path.stem}.cells.txt", says.cells(run_chapter(path.stem)))


@repeatable
def test_files_are_those_recorded(path, run_chapter):
    check(f"{path.stem}.files.txt", says.files(run_chapter(path.stem).output_dir))


FIGURE = """figure 9 x 5, drawn 1 times, ""
  axes "What a run cost"
    x "seconds of processor time" linear ~ 0.5 2.5
    line "_child0" #0072b2 - None
      x: 1 2
      y: ~ 0.9 0.8
    line "_child1" #d55e00 - None
      x: 1 2
      y: ~ 0.7 0.6
"""
OTHER_PACE = """figure 9 x 5, drawn 1 times, ""
  axes "What a run cost"
    x "seconds of processor time" linear ~ 0.7 3.1
    line "_child4" #d55e00 - None
      x: 1 2
      y: ~ 0.7 0.6
    line "_child5" #0072b2 - None
      x: 1 2
      y: ~ 0.9 0.8
"""


def test_runs_at_another_pace_say_the_same_without_the_clock():
    assert not differences(without_the_clock(FIGURE), without_the_clock(OTHER_PACE))
    result = "## run/result.json\nmetrics.loss ~ 0.25\nseconds ~ {}\nworker: {}\n"
    fast, slow = (result.format(*values) for values in ((1.5, "'a'"), (9.5, "'b'")))
    assert not differences(without_the_clock(fast), without_the_clock(slow))


@pytest.mark.parametrize(
    ("said", "other"),
    [
        ("What a run cost", "What a run brought"),
        ("seconds of processor time", "share of test images right"),
        ('line "_child1" #d55e00', 'line "_child1" #0072b2'),
    ],
)
def test_what_the_clock_does_not_decide_is_seen(said, other):
    assert said in FIGURE
    changed = without_the_clock(FIGURE.replace(said, other))
    assert differences(without_the_clock(FIGURE), changed)
    accurate = "## run/result.json\nmetrics.loss ~ 0.25\n"
    worse = accurate.replace("0.25", "0.52")
    assert differences(without_the_clock(accurate), without_the_clock(worse))
