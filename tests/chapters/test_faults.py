"""What goes wrong in a class, brought about in a whole chapter."""

import json
import os
import shutil
import subprocess
import sys

import nbformat
import numpy as np
import papermill
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from helpers import hiddenlayer as hl
from helpers.visdom import VisdomServer
from tests.conftest import ROOT
from tests.small_disk import run_on_small_disk

HOPELESS = {"epochs": 1, "learning_rate": 1e30}


def run(stem, folder, parameters):
    return papermill.execute_notebook(
        ROOT / "notebooks" / f"{stem}.ipynb",
        folder / "done.ipynb",
        parameters=parameters | {"output_dir": str(folder / "out")},
        kernel_name="python3",
        cwd=folder,
        progress_bar=False,
    )


# ---- a training that diverges is logged to its end, and the pictures say so ----


def test_chapter_2_diverges(tmp_path):
    notebook = run("02_tensorboardx_training", tmp_path, HOPELESS)
    training = tmp_path / "out" / "run-1" / "training" / "run-1"
    events = EventAccumulator(str(training)).Reload()
    for part in ("train", "test"):
        losses = EventAccumulator(str(training / "loss" / part)).Reload().Scalars("loss")
        assert [event.step for event in losses] == [20, 40, 60]
        assert all(np.isnan(event.value) for event in losses)
    for event in events.Histograms("fc.0.weight"):
        assert event.histogram_value.num == 0
    counts = [event.value for event in events.Scalars("not_finite/fc.0.weight")]
    assert counts == [200_704] * 3
    (cell,) = [cell for cell in notebook.cells if cell.source.startswith("def curve(")]
    assert any("image/png" in output.get("data", {}) for output in cell.outputs)


def test_chapter_3_diverges(tmp_path):
    notebook = run("03_hiddenlayer_live_canvas", tmp_path, HOPELESS)
    history = hl.History()
    history.load(tmp_path / "out" / "run-1" / "history.npz")
    assert history.steps == [(1, 20), (1, 40), (1, 60)]
    assert np.isnan(history["train_loss"].data).all()
    said = [
        output.metadata["image/png"]["alt"]
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "alt" in output.get("metadata", {}).get("image/png", {})
    ]
    assert any("train_loss: nan" in alt for alt in said)
    assert any("24,576 not finite" in alt for alt in said)


def test_chapter_4_diverges(tmp_path):
    run("04_visdom_gallery", tmp_path, HOPELESS)
    with VisdomServer(tmp_path / "out" / "run-1" / "environments", page=False) as server:
        client = server.client()
        traces = json.loads(client.get_window_data("live", env="training"))["content"]["data"]
        note = json.loads(client.get_window_data("trouble", env="training"))["content"]
    steps = [9, 18, 27, 36, 45, 54, 63]
    assert next(t["x"] for t in traces if t["name"] == "test accuracy") == steps
    assert [f"step {step}: the loss is nan" in note for step in steps] == [True] * 7


# ---- a disk that fills up ----


def test_chapter_2_says_that_the_disk_is_full(tmp_path):
    command = [
        *(sys.executable, "-m", "papermill", "--no-progress-bar", "-k", "python3"),
        *("--cwd", str(tmp_path), "-p", "epochs", "1", "-p", "log_every", "1"),
        *("-p", "output_dir", str(tmp_path / "disk" / "out")),
        *(str(ROOT / "notebooks" / "02_tensorboardx_training.ipynb"), str(tmp_path / "done.ipynb")),
    ]
    done, kept = run_on_small_disk(command, tmp_path / "disk", 400_000, env=dict(os.environ))
    assert done.returncode != 0
    last = [line for line in done.stderr.splitlines() if line.strip()][-1]
    assert f"{tmp_path}/disk/out/run-1/training/run-1/" in last
    assert "can't be written (" in last
    assert "Make room there or choose another folder" in last
    notebook = nbformat.read(tmp_path / "done.ipynb", as_version=4)
    (error,) = [o for c in notebook.cells for o in c.get("outputs", []) if o.output_type == "error"]
    assert error.ename == "OSError"
    steps = [
        event.step
        for event in EventAccumulator(str(kept / "out/run-1/training/run-1/loss/train"))
        .Reload()
        .Scalars("loss")
    ]
    assert steps == list(range(1, len(steps) + 1))
    assert len(steps) > 3


# ---- an odd place, and others beside ----


def test_three_at_once_from_a_read_only_checkout_with_an_odd_path_and_no_home(tmp_path):
    """A chapter, itself again and another, into one folder of outputs."""
    course = tmp_path / "my course 课程"
    ignore = shutil.ignore_patterns(".*", "__pycache__", "outputs", "tests")
    shutil.copytree(ROOT, course, ignore=ignore, ignore_dangling_symlinks=True)
    before = sorted(course.rglob("*"))
    for path in [course, *before]:
        path.chmod(path.stat().st_mode & ~0o222)
    env = os.environ | {"PYTHONPATH": str(course), "PYTHONDONTWRITEBYTECODE": "1"}
    for name in ("JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):  # Jupyter itself needs them
        env[name] = str(tmp_path / name)
    running = []
    for number, stem in enumerate(
        ("02_tensorboardx_training", "02_tensorboardx_training", "03_hiddenlayer_live_canvas")
    ):
        command = [
            *(sys.executable, "-m", "papermill", "--no-progress-bar", "-k", "python3"),
            *("--cwd", str(course / "notebooks"), "-p", "epochs", "1"),
            *("-p", "output_dir", str(tmp_path / "out put 输出")),
            *(str(course / "notebooks" / f"{stem}.ipynb"), str(tmp_path / f"done-{number}.ipynb")),
        ]
        home = {} if number else {"HOME": "/proc"}  # where nobody can write; or none at all
        running.append(
            subprocess.Popen(
                command,
                env={name: value for name, value in env.items() if name != "HOME"} | home,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    for process in running:
        _, errors = process.communicate(timeout=500)
        assert process.returncode == 0, errors[-2000:]
    assert sorted(course.rglob("*")) == before
    runs = tmp_path / "out put 输出"
    assert sorted(path.name for path in runs.iterdir()) == ["run-1", "run-2", "run-3"]
    assert len(list(runs.glob("run-*/training/run-1/events.out.*"))) == 2
    for file in runs.glob("run-*/training/run-1/loss/*/events.out.*"):
        events = EventAccumulator(str(file)).Reload()
        assert [event.step for event in events.Scalars("loss")] == [20, 40, 60]
    assert len(list(runs.glob("run-*/history.npz"))) == 1
    for path in [course, *before]:
        path.chmod(path.stat().st_mode | 0o200)
