"""Fixtures shared by the tests: the chapters, and each of them run once through papermill."""

import ast
import os
import pickle
from dataclasses import dataclass
from pathlib import Path

import nbformat
import papermill
import pytest

import tests.arithmetic  # noqa: F401
from helpers.runtime import SETTINGS
from tests.records.kernel import watched

# For a pytest that was started without make. Nothing above imports torch, which reads them once.
for name, value in SETTINGS.items():
    os.environ.setdefault(name, value)

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = sorted((ROOT / "notebooks").glob("*.ipynb"))

SHORT_PARAMETERS = {
    "01_architecture_graphs": {"batch_size": 100, "seed": 1},
    "02_tensorboardx_training": {
        "device": "cpu",
        "epochs": 2,
        "batch_size": 100,
        "learning_rate": 4e-4,
        "log_every": 25,
        "seed": 1,
    },
    "03_hiddenlayer_live_canvas": {
        "device": "cpu",
        "epochs": 2,
        "batch_size": 100,
        "learning_rate": 4e-4,
        "log_every": 30,
        "seed": 1,
    },
    "04_visdom_gallery": {
        "device": "cpu",
        "epochs": 1,
        "batch_size": 100,
        "learning_rate": 1.25e-3,
        "log_every": 10,
        "seed": 1,
    },
    "05_clinic": {"device": "cpu", "epochs": 2, "seed": 1},
    "06_many_runs": {"learning_rates": [3e-3, 1e-2], "batch_sizes": [128], "seeds": 2},
}
"""What shortens a chapter. No value is the chapter's own, so that one without effect shows.

A chapter that isn't named here fails ``test_every_parameter_has_another_value_in_the_tests``.
"""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Without a graphics card, choose the tests as ``-m "not gpu"`` would: none is skipped."""
    if not any(item.get_closest_marker("gpu") for item in items):
        return
    from helpers.device import choose_device  # imports torch, which reads SETTINGS once

    if choose_device("auto").type == "cpu":
        chosen = config.option.markexpr
        config.option.markexpr = f"({chosen}) and not gpu" if chosen else "not gpu"


def own_parameters(path: Path) -> dict:
    """The parameters of a chapter, with the values that it gives them itself."""
    cells = nbformat.read(path, as_version=4).cells
    (cell,) = (cell for cell in cells if "parameters" in cell.metadata.get("tags", []))
    statements = ast.parse(cell.source).body
    return {line.targets[0].id: ast.literal_eval(line.value) for line in statements}


@dataclass
class ChapterRun:
    """One execution of a chapter through papermill."""

    notebook: nbformat.NotebookNode
    output_dir: Path
    parameters: dict
    notes: Path
    """What the kernel noted of each cell: see ``tests.records.kernel``."""

    @property
    def cells(self) -> list[nbformat.NotebookNode]:
        """The code cells."""
        return [cell for cell in self.notebook.cells if cell.cell_type == "code"]

    @property
    def solutions(self) -> list[nbformat.NotebookNode]:
        """The solutions' cells."""
        return [cell for cell in self.cells if "solution" in cell.metadata.get("tags", [])]

    def printed(self, cell: nbformat.NotebookNode) -> str:
        """What a cell printed."""
        return "".join(output.text for output in cell.outputs if output.output_type == "stream")

    def noted(self, cell: nbformat.NotebookNode) -> dict:
        """The figures that a cell drew, and the values that it named."""
        return pickle.loads((self.notes / f"cell-{cell.execution_count}.pickle").read_bytes())

    def axes(self, text: str) -> list[dict]:
        """What the axes say of the last figure of the one cell that contains ``text``."""
        (cell,) = (cell for cell in self.cells if text in cell.source)
        return self.noted(cell)["figures"][-1][1]["axes"]

    def values(self, text: str) -> dict:
        """The plain values that the one cell that contains ``text`` named, by name."""
        (cell,) = (cell for cell in self.cells if text in cell.source)
        return {name: pickle.loads(kept) for name, kept in self.noted(cell)["values"].items()}


@pytest.fixture(scope="session")
def run_chapter(tmp_path_factory):
    """A function that runs the chapter of that name, at most once in the session."""
    runs = {}

    def run(stem: str) -> ChapterRun:
        if stem not in runs:
            folder = tmp_path_factory.mktemp(stem)
            elsewhere = folder / "cwd"
            elsewhere.mkdir()
            path = ROOT / "notebooks" / f"{stem}.ipynb"
            parameters = own_parameters(path) | SHORT_PARAMETERS.get(stem, {})
            parameters["output_dir"] = str(folder / "out")
            with watched(folder):
                notebook = papermill.execute_notebook(
                    path,
                    folder / f"{stem}.ipynb",
                    parameters=parameters,
                    kernel_name="python3",
                    cwd=elsewhere,
                    progress_bar=False,
                )
            strays = [str(path) for path in elsewhere.rglob("*")]
            assert not strays, f"{stem} wrote outside its output_dir: {strays}"
            runs[stem] = ChapterRun(notebook, folder / "out", parameters, folder)
        return runs[stem]

    return run
