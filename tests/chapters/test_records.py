"""What each chapter's run says is what is recorded of it, in ``records/``.

``make records`` renews the records after an intended change; ``git diff`` then shows what changed
in what the chapters say, and is what there is to read.
"""

import os
from pathlib import Path

import pytest

from tests.arithmetic import ROUNDED_ALIKE
from tests.conftest import CHAPTERS
from tests.records import says
from tests.records.compare import differences, renewed

RECORDS = Path(__file__).with_name("records")
BY_THE_CLOCK = {"06_many_runs"}
"""Chapters whose runs say when their workers came and how long they took; their own tests hold
what doesn't depend on that."""

chapters = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
repeatable = pytest.mark.parametrize(
    "path",
    [
        path
        for path in CHAPTERS
        if path.stem not in BY_THE_CLOCK and (ROUNDED_ALIKE or path.stem.startswith("01"))
    ],
    ids=lambda path: path.stem,
)


def check(name: str, now: str) -> None:
    """Compare a text with its record; with RENEW_RECORDS in the environment, renew it instead."""
    record = RECORDS / name
    now = now.strip() + "\n"
    stored = record.read_text(encoding="utf-8") if record.exists() else ""
    if os.environ.get("RENEW_RECORDS"):
        record.parent.mkdir(exist_ok=True)
        record.write_text(renewed(stored, now), encoding="utf-8")
        return
    changed = "\n".join(differences(stored, now))
    assert not changed, f"{name} says something else. Meant so? make records renews it.\n{changed}"


@repeatable
def test_outputs_and_figures_are_those_recorded(path, run_chapter):
    check(f"{path.stem}.cells.txt", says.cells(run_chapter(path.stem)))


@repeatable
def test_files_are_those_recorded(path, run_chapter):
    check(f"{path.stem}.files.txt", says.files(run_chapter(path.stem).output_dir))
