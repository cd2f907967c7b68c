"""What the chapter of many runs left on disk and showed, held against what its parameters imply."""

import base64
import io
import itertools
import re

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from helpers.dask.sweep import read_run, run_name
from helpers.data import load_dataset, make_loader
from helpers.model import ConvNet, accuracy

CHAPTER = "06_many_runs"


@pytest.fixture(scope="module")
def run(run_chapter):
    return run_chapter(CHAPTER)


@pytest.fixture(scope="module")
def settings(run):
    """Those of the runs that the parameters imply."""
    names = ("learning_rates", "batch_sizes")
    combinations = itertools.product(
        *(run.parameters[name] for name in names), range(run.parameters["seeds"])
    )
    keys = ("learning_rate", "batch_size", "seed")
    return [dict(zip(keys, values, strict=True)) | {"epochs": 1} for values in combinations]


@pytest.fixture(scope="module")
def finished(run, settings):
    return [read_run(run.output_dir / "mnist-sample" / run_name(one)) for one in settings]


def code_cells(run):
    return [cell for cell in run.notebook.cells if cell.cell_type == "code"]


def cell_with(run, text):
    (cell,) = [cell for cell in code_cells(run) if text in cell.source]
    return cell


def printed(cell):
    return "".join(output.text for output in cell.outputs if output.output_type == "stream")


def pictures_of(cell):
    return [
        Image.open(io.BytesIO(base64.b64decode(output.data["image/png"]))).convert("RGB")
        for output in cell.outputs
        if "image/png" in output.get("data", {})
    ]


def test_every_combination_was_run_once(run, settings, finished):
    assert len(settings) == 4
    folders = {path.name for path in (run.output_dir / "mnist-sample").iterdir()}
    assert folders == set(map(run_name, settings))
    assert [one.status for one in finished] == ["done"] * 4
    assert [one.settings for one in finished] == settings


def test_a_run_is_what_a_bare_loop_gives(finished):
    (run,) = (
        r for r in finished if r.settings["learning_rate"] == 0.01 and r.settings["seed"] == 1
    )
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    data = load_dataset()
    torch.manual_seed(1)
    model = ConvNet().to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, fused=True)
    losses = []
    for images, labels in make_loader(data.train, 128, seed=1):
        loss = torch.nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert run.metrics == {"accuracy": accuracy(model, data.test), "loss": losses[-1]}
    torch.set_num_threads(threads)
    seen, logged = run.curve("train/loss")
    steps = [round(len(losses) * part / 8) for part in range(1, 9)]
    assert list(seen) == [min(step * 128, 8000) for step in steps]
    means = [np.mean(losses[a:b]) for a, b in itertools.pairwise([0, *steps])]
    assert logged == pytest.approx(means, rel=1e-5)
    assert run.curve("test/accuracy")[1][-1] == pytest.approx(run.metrics["accuracy"])


def test_it_learned(finished):
    for one in finished:
        assert 0.75 < one.metrics["accuracy"] < 0.98, one.name


def test_the_canvas_shows_that_all_have_ended_and_was_kept(run):
    (picture,) = pictures_of(cell_with(run, "Sweep(client, train"))
    alt = cell_with(run, "Sweep(client, train").outputs
    assert any("4 of 4 runs have ended" in str(output) for output in alt)
    saved = Image.open(run.output_dir / "run-1" / "sweep.png").convert("RGB")
    np.testing.assert_array_equal(np.asarray(saved), np.asarray(picture))
    orange = (np.asarray(picture) == (0xD5, 0x5E, 0x00)).all(axis=2)
    assert orange.sum() > 100  # the best curve


def test_each_picture_is_drawn(run):
    drawing = [cell for cell in code_cells(run) if "plt.show()" in cell.source]
    assert len(drawing) == 12
    for cell in drawing:
        (picture,) = pictures_of(cell)
        ink = (np.asarray(picture) < 250).any(axis=2).mean()
        assert 0.01 < ink < 0.9, cell.source


def test_the_map_shows_the_means(run, finished):
    """The two cells of the map have the colours of their means on the scale from 0 to 1."""
    import matplotlib

    (picture,) = pictures_of(cell_with(run, "ax.imshow(ends.mean(2)"))
    colors = {tuple(color) for color in np.asarray(picture).reshape(-1, 3)}
    for rate in (0.003, 0.01):
        ends = [r.metrics["accuracy"] for r in finished if r.settings["learning_rate"] == rate]
        color = matplotlib.colormaps["viridis"](np.mean(ends), bytes=True)[:3]
        assert tuple(map(int, color)) in {tuple(map(int, one)) for one in colors}


def test_seeds_needed_is_the_smallest_number_with_that_power(run):
    """Held against a simulation: at that number, four of five experiments find the difference."""
    from scipy import stats

    source = cell_with(run, "def seeds_needed").source
    names = {"np": np, "stats": stats}
    exec(source[: source.index("\n\n\n")], names)
    needed = names["seeds_needed"]
    assert needed([1.0, 1.0001, 0.9999]) == "2"
    assert needed([1.0, -1.0, 0.0]) == "over 1,000"
    differences = np.array([0.0, 1.0, 2.0])  # mean 1, deviation 1
    n = int(needed(differences))
    random = np.random.default_rng(0)
    samples = random.normal(1, 1, (20_000, n))
    found = np.abs(stats.ttest_1samp(samples, 0, axis=1).statistic) > stats.t.ppf(0.975, n - 1)
    assert found.mean() == pytest.approx(0.8, abs=0.04)


def test_a_killed_worker_costs_no_run(run):
    assert printed(cell_with(run, "psutil.Process")) == "8 results of 8 runs, all done: True\n"
    folder = run.output_dir / "run-1" / "killed"
    runs = [read_run(path) for path in folder.iterdir()]
    assert len(runs) == 8
    workers = [one.worker for one in runs]
    assert len(set(workers)) >= 2
    assert 1 in map(workers.count, workers)  # the killed one's


def test_failed_and_diverged_runs_stand_beside_the_others(run):
    lines = printed(cell_with(run, '"mixed"')).splitlines()
    assert [line.split()[0] for line in lines] == ["done", "failed", "done", "diverged"]
    assert "TypeError: can't multiply sequence" in lines[1]
    assert "inf" in lines[3]


def test_an_interrupted_sweep_went_on(run):
    text = printed(cell_with(run, "raise KeyboardInterrupt"))
    assert re.findall(r"(\d) of 8|(interrupted)", text) == [
        ("0", ""),
        ("", "interrupted"),
        ("3", ""),
        ("8", ""),
    ]


def test_the_unreachable_scheduler_is_named(run):
    text = printed(cell_with(run, "patience=2"))
    assert text.startswith("no Dask scheduler answers at tcp://localhost:9 (")
    assert "dask scheduler" in text


def test_tensorboard_has_the_settings_of_each_run(finished):
    for one in finished:
        tags = EventAccumulator(str(one.folder)).Reload().summary_metadata
        assert "_hparams_/session_start_info" in tags


def test_everything_was_stopped(run):
    assert printed(cell_with(run, "server.stop()")) == (
        "DaskServer stopped and TensorBoardServer stopped\n"
    )


def test_nothing_else_was_written(run):
    assert {path.name for path in run.output_dir.iterdir()} == {"run-1", "mnist-sample"}
    names = {"sweep.png", "killed", "mixed", "interrupted"}
    assert {path.name for path in (run.output_dir / "run-1").iterdir()} == names
