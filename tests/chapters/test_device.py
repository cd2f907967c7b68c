"""The chapters that train do so on any device: their code runs on one that isn't the processor."""

import os
from unittest import mock

import matplotlib
import matplotlib.pyplot as plt
import nbformat
import papermill
import pytest

from tests.conftest import CHAPTERS, SHORT_PARAMETERS, own_parameters
from tests.helpers.elsewhere import There, elsewhere

TRAINING = [path for path in CHAPTERS if "device" in own_parameters(path)]

chapters = pytest.mark.parametrize("path", TRAINING, ids=lambda path: path.stem)


def test_every_chapter_that_trains_here_has_a_device():
    """Chapter 1 trains nothing, and chapter 6 hands its trainings to workers."""
    assert [int(path.stem[:2]) for path in TRAINING] == [2, 3, 4, 5]


class NoPage:
    """In place of TensorBoard's server, whose page nobody looks at here."""

    def __init__(self, *_):
        pass


@chapters
def test_its_code_up_to_the_exercises_runs_elsewhere(path, tmp_path, monkeypatch):
    """What takes a tensor for one on the processor, or mixes the two, is refused there."""
    monkeypatch.chdir(path.parent)
    # torch.jit can't follow what happens elsewhere; the network that is drawn is here.
    monkeypatch.setattr("helpers.eventfiles.SummaryWriter.add_graph", lambda *_: None)
    parameters = SHORT_PARAMETERS[path.stem] | {"epochs": 1, "output_dir": str(tmp_path / "out")}
    names = {"__name__": "chapter", "get_ipython": lambda: None}
    with matplotlib.rc_context({"backend": "agg"}), elsewhere() as device:
        for cell in nbformat.read(path, as_version=4).cells:
            if "\n## Exercises" in f"\n{cell.source}":
                break
            if cell.cell_type == "code":
                exec(cell.source, names)
                if "parameters" in cell.metadata.get("tags", []):
                    names |= parameters
                if "TensorBoardServer" in names:
                    names["TensorBoardServer"] = NoPage
                if "choose_device" in names:
                    names["choose_device"] = lambda _: device
            plt.close("all")
    assert all(isinstance(weight, There) for weight in names["model"].parameters())
    if "server" in names:
        names["server"].stop()


@pytest.mark.gpu
@chapters
def test_it_runs_on_a_graphics_card(path, tmp_path):
    with mock.patch.dict(os.environ, {"PYTORCH_ENABLE_MPS_FALLBACK": "1"}):
        papermill.execute_notebook(
            path,
            tmp_path / "done.ipynb",
            parameters=SHORT_PARAMETERS[path.stem]
            | {"device": "auto", "output_dir": str(tmp_path / "out")},
            kernel_name="python3",
            cwd=tmp_path,
            progress_bar=False,
        )
