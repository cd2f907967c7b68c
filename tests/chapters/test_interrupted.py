"""A training is interrupted in its kernel, and its cell is run again: a new run, and no zigzag."""

import json

import nbformat
import pytest
from nbclient import NotebookClient
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.conftest import ROOT

INTERRUPT = """
import os, signal, threading, time

def interrupt():
    \"\"\"What the button in Jupyter does, once the training has come far enough.\"\"\"
    while not ({condition}):
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=interrupt, daemon=True).start()
"""


def interrupted_and_run_again(stem, training, condition, report, folder, parameters):
    """What a chapter's kernel says in the end, as JSON.

    The cells up to the one that begins with ``training`` are run, that one is interrupted when
    ``condition`` holds, run again to its end, and then ``report`` is evaluated.
    """
    chapter = nbformat.read(ROOT / "notebooks" / f"{stem}.ipynb", as_version=4)
    sources = []
    for cell in (cell for cell in chapter.cells if cell.cell_type == "code"):
        if training in cell.source:
            break
        sources.append(cell.source)
        if "parameters" in cell.metadata.get("tags", []):
            settings = parameters | {"output_dir": str(folder / "out")}
            sources += [f"{name} = {value!r}" for name, value in settings.items()]
    sources += [INTERRUPT.format(condition=condition), cell.source, cell.source]
    sources += [f"import json\nprint(json.dumps({report}))"]
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    client = NotebookClient(
        nbformat.v4.new_notebook(cells=cells),
        timeout=300,
        kernel_name="python3",
        allow_errors=True,
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute()
    errors = [
        [output.ename for output in cell.outputs if output.output_type == "error"] for cell in cells
    ]
    assert errors == [[]] * (len(cells) - 3) + [["KeyboardInterrupt"], [], []]
    return json.loads(cells[-1].outputs[-1].text)


def test_chapter_2_writes_the_second_run_into_a_folder_of_its_own(tmp_path):
    said = interrupted_and_run_again(
        "02_tensorboardx_training",
        "optimizer.step()",
        "'progress' in globals() and step >= 45",
        "[str(training_dir), step]",
        tmp_path,
        {"epochs": 1, "log_every": 20},
    )
    runs = tmp_path / "out" / "run-1" / "training"
    assert said == [str(runs / "run-2"), 63]
    first, second = (
        EventAccumulator(str(runs / name / "loss" / "train")).Reload().Scalars("loss")
        for name in ("run-1", "run-2")
    )
    assert [event.step for event in first] == [20, 40]
    assert [event.step for event in second] == [20, 40, 60]
    # A new network: half-trained weights would begin below 2.
    assert second[0].value == pytest.approx(first[0].value, abs=0.05)
    assert second[0].value == pytest.approx(2.3, abs=0.1)
    for name in ("run-1", "run-2"):
        assert len(list((runs / name).glob("events.out.*"))) == 1


def test_chapter_3_begins_a_new_history(tmp_path):
    steps, loss, redraws, run_dir = interrupted_and_run_again(
        "03_hiddenlayer_live_canvas",
        "canvas.draw_image(history[",
        "len(globals().get('pictures', [])) >= 2",
        "[history.steps, float(history['train_loss'].data[0]), canvas.redraws, run_dir.name]",
        tmp_path,
        {"epochs": 1, "log_every": 20},
    )
    assert steps == [[1, 20], [1, 40], [1, 60]]
    assert loss == pytest.approx(2.3, abs=0.1)
    assert redraws == 3
    assert run_dir == "run-2"


def test_chapter_4_draws_a_line_of_its_own(tmp_path):
    traces = interrupted_and_run_again(
        "04_visdom_gallery",
        "def draw(step, loss)",
        "len(globals().get('history', [])) >= 4",
        "json.loads(vis.get_window_data('live', env='training'))['content']['data']",
        tmp_path,
        {"epochs": 1, "log_every": 9},
    )
    assert len(traces) == 2
    for trace in traces:
        assert trace["x"] == [9, 18, 27, 36, 45, 54, 63]
    assert traces[0]["y"][0] == pytest.approx(2.1, abs=0.3)
    assert traces[0]["y"][-1] < 1
