"""Fixtures shared by the tests: the chapters, and each of them run once through papermill."""

import os
from dataclasses import dataclass
from pathlib import Path

import nbformat
import papermill
import pytest

from helpers.runtime import SETTINGS

# For a pytest that was started without make. Nothing above imports torch, which reads them once.
for name, value in SETTINGS.items():
    os.environ.setdefault(name, value)

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = sorted((ROOT / "notebooks").glob("*.ipynb"))

SHORT_PARAMETERS = {
    "02_tensorboardx_training": {"epochs": 2, "log_every": 20},
    "03_hiddenlayer_live_canvas": {"epochs": 2, "log_every": 25},
    "04_visdom_gallery": {"epochs": 1},
    "06_many_runs": {"learning_rates": [3e-3, 1e-2], "batch_sizes": [128], "seeds": 2},
}
"""What shortens a chapter; one that isn't named here runs with its own values."""


@dataclass
class ChapterRun:
    """One execution of a chapter through papermill."""

    notebook: nbformat.NotebookNode
    output_dir: Path
    parameters: dict


@pytest.fixture(scope="session")
def run_chapter(tmp_path_factory):
    """A function that runs the chapter of that name, at most once in the session."""
    runs = {}

    def run(stem: str) -> ChapterRun:
        if stem not in runs:
            folder = tmp_path_factory.mktemp(stem)
            elsewhere = folder / "cwd"
            elsewhere.mkdir()
            parameters = SHORT_PARAMETERS.get(stem, {}) | {"output_dir": str(folder / "out")}
            notebook = papermill.execute_notebook(
                ROOT / "notebooks" / f"{stem}.ipynb",
                folder / f"{stem}.ipynb",
                parameters=parameters,
                kernel_name="python3",
                cwd=elsewhere,
                progress_bar=False,
            )
            strays = [str(path) for path in elsewhere.rglob("*")]
            assert not strays, f"{stem} wrote outside its output_dir: {strays}"
            runs[stem] = ChapterRun(notebook, folder / "out", parameters)
        return runs[stem]

    return run
