"""Sweeps on two workers that are commands of their own, and what goes wrong in real ones."""

import functools
import importlib
import inspect
import json
import math
import os
import re
import signal
import sys
import time

import cloudpickle
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2

from helpers.dask import ClusterError, Sweep, connect
from helpers.dask.connect import versions
from helpers.dask.sweep import _pack, _unpack, run_name, train_one
from helpers.data import load_dataset, make_loader
from helpers.model import ConvNet, accuracy
from tests.helpers.dask.conftest import PATIENCE, running_scheduler, running_worker

# A worker has the course but not its tests: as from a notebook, functions travel as code.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


def train(settings, data, writer):
    """Ten steps of the ConvNet, and half a second in which the other worker gets a run too."""
    time.sleep(0.5)
    torch.manual_seed(settings["seed"])
    model = ConvNet()
    optimizer = torch.optim.Adam(model.parameters(), lr=settings["learning_rate"])
    loader = make_loader(data.train, 64, seed=settings["seed"])
    for step, (images, labels) in zip(range(10), loader, strict=False):
        loss = torch.nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        writer.add_scalar("loss", loss.item(), step)
    return {"accuracy": accuracy(model, data.test), "loss": loss.item()}


def roll(settings, data, writer):
    """Gradient descent on a parabola, with a nap before each step."""
    x = 1.0
    for step in range(10):
        time.sleep(settings.get("nap", 0))
        x = x - settings["rate"] * 2 * x
        writer.add_scalar("loss", x * x, step)
    return {"loss": x * x}


def collect(*arguments):
    with Sweep(*arguments) as sweep:
        for _ in sweep:
            pass
    return sweep.finished


def slopes(count, nap=0.0):
    return [{"rate": round(0.4 * n / count, 6), "nap": nap} for n in range(1, count + 1)]


def process_ids(client):
    return client.run(os.getpid)


# ---- what a run comes to ----


def test_runs_on_workers_are_the_runs_one_after_another_number_for_number(client, tmp_path):
    data = load_dataset()
    # More than two a worker: of fewer, Dask may leave all where the first one went.
    runs = [{"learning_rate": r, "seed": s} for r in (1e-3, 1e-2) for s in (0, 1, 2)]
    client.run(importlib.import_module, "helpers.dask.sweep")  # or one may still be loading torch
    finished = collect(client, train, runs, data, tmp_path)
    assert len({run.worker for run in finished}) == 2
    assert len({run.metrics["loss"] for run in finished}) == 6
    threads = torch.get_num_threads()
    for run in finished:
        here = train_one(train, _pack(data), run.settings, versions())
        (tmp_path / "here" / run.name).mkdir(parents=True)
        (events,) = here["files"]
        (tmp_path / "here" / run.name / events).write_bytes(here["files"][events])
        assert run.status == here["status"] == "done"
        assert run.metrics == here["metrics"]
        assert run.curve("loss") == curve(tmp_path / "here" / run.name, "loss")
        assert run.curve("loss")[0] == tuple(range(10))
    torch.set_num_threads(threads)


def curve(folder, tag):
    points = EventAccumulator(str(folder)).Reload().Scalars(tag)
    return tuple(p.step for p in points), tuple(p.value for p in points)


def test_a_run_has_a_folder_with_its_event_file_and_its_result(client, tmp_path):
    runs = slopes(3)
    finished = collect(client, roll, runs, None, tmp_path / "out")
    assert {path.name for path in tmp_path.iterdir()} == {"out"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(map(run_name, runs))
    for run in finished:
        names = sorted(path.name.split(".")[0] for path in run.folder.iterdir())
        assert names == ["events", "result"]
        assert (run.folder.stat().st_mode & 0o777) == (tmp_path / "out").stat().st_mode & 0o777


def test_tensorboard_finds_settings_and_results_in_the_run_of_the_curve(client, tmp_path):
    (run,) = collect(client, roll, [{"rate": 0.25, "kind": "ball"}], None, tmp_path)
    events = EventAccumulator(str(run.folder)).Reload()
    assert events.Tags()["scalars"] == ["loss", "final/loss"]
    metadata = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    start = plugin_data_pb2.HParamsPluginData.FromString(metadata).session_start_info
    assert start.hparams["rate"].number_value == 0.25
    assert start.hparams["kind"].string_value == "ball"
    metadata = events.SummaryMetadata("_hparams_/experiment").plugin_data.content
    experiment = plugin_data_pb2.HParamsPluginData.FromString(metadata).experiment
    assert [info.name.tag for info in experiment.metric_infos] == ["final/loss"]


def test_data_come_out_as_they_went_in():
    data = load_dataset()
    copy = _unpack(_pack(data))
    for ours, theirs in ((data.train, copy.train), (data.test, copy.test)):
        for one, other in zip(ours.tensors, theirs.tensors, strict=True):
            assert one.dtype == other.dtype
            assert torch.equal(one, other)
    assert copy.classes == data.classes
    assert _unpack(_pack(None)) is None


def test_two_hundred_runs_come_once_each(client, tmp_path):
    runs = slopes(200)
    finished = collect(client, roll, runs, None, tmp_path)
    assert sorted(run.name for run in finished) == sorted(map(run_name, runs))
    assert len(list(tmp_path.iterdir())) == 200


# ---- what goes wrong ----


def test_a_worker_is_killed_in_the_middle(client, tmp_path):
    ids = process_ids(client)
    with Sweep(client, roll, slopes(8, nap=0.05), None, tmp_path) as sweep:
        for run in sweep:
            if len(sweep.finished) == 1:
                time.sleep(0.2)  # the next run is in its middle
                os.kill(ids[run.worker], signal.SIGKILL)
                killed = run.worker
    assert sorted(run.name for run in sweep.finished) == sorted(map(run_name, slopes(8, 0.05)))
    assert {run.status for run in sweep.finished} == {"done"}
    assert [run.worker for run in sweep.finished].count(killed) == 1
    assert sweep.left == sweep.running == 0
    for run in sweep.finished:
        assert run.curve("loss")[0] == tuple(range(10))
    client.wait_for_workers(2, timeout=PATIENCE)


def test_workers_die_with_results_that_nobody_has_fetched_yet(client, tmp_path):
    with Sweep(client, roll, slopes(4), None, tmp_path) as sweep:
        for _ in sweep:
            if len(sweep.finished) == 1:
                time.sleep(1)  # the others have ended, and wait to be fetched
                for process_id in process_ids(client).values():
                    os.kill(process_id, signal.SIGKILL)
    assert sorted(run.name for run in sweep.finished) == sorted(map(run_name, slopes(4)))
    assert {run.status for run in sweep.finished} == {"done"}
    client.wait_for_workers(2, timeout=PATIENCE)


def test_all_workers_die_with_the_data(client, tmp_path):
    data = load_dataset()

    def count(settings, data, writer):
        return {"images": len(data.train) + settings["n"]}

    with Sweep(client, count, [{"n": n} for n in range(3)], data, tmp_path) as sweep:
        for _ in sweep:
            if len(sweep.finished) == 1:
                for process_id in process_ids(client).values():
                    os.kill(process_id, signal.SIGKILL)
    assert sorted(run.metrics["images"] for run in sweep.finished) == [8000, 8001, 8002]
    client.wait_for_workers(2, timeout=PATIENCE)


def test_a_run_that_kills_every_worker_is_given_up_and_the_others_go_on(client, tmp_path):
    def fall(settings, data, writer):
        if settings["n"] == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return {"n": settings["n"]}

    finished = collect(client, fall, [{"n": n} for n in range(4)], None, tmp_path)
    status = {run.settings["n"]: run.status for run in finished}
    assert status == {0: "done", 1: "failed", 2: "done", 3: "done"}
    (failed,) = (run for run in finished if run.status == "failed")
    assert failed.error.startswith("KilledWorker: ")
    assert failed.curve("loss") == ([], [])
    client.wait_for_workers(2, timeout=PATIENCE)


def test_a_run_that_diverges_is_recorded_as_such_with_its_curve(client, tmp_path):
    (run,) = collect(client, roll, [{"rate": 1e20}], None, tmp_path)
    assert run.status == "diverged"
    assert run.metrics == {"loss": math.inf}
    steps, losses = run.curve("loss")
    assert len(steps) == 10
    assert losses[0] > 1e38
    text = (run.folder / "result.json").read_text()
    assert json.loads(text, parse_constant=pytest.fail)["metrics"] == {"loss": "inf"}
    (again,) = collect(client, roll, [{"rate": 1e20}], None, tmp_path)
    assert again == run  # it would diverge again


def test_a_run_that_raises_has_its_error_beside_its_settings_and_the_others_go_on(client, tmp_path):
    runs = [{"rate": 0.1}, {"rate": "fast"}, {"speed": 1}, {"rate": 0.2}]
    finished = {run.name: run for run in collect(client, roll, runs, None, tmp_path)}
    assert finished["rate=0.1"].status == finished["rate=0.2"].status == "done"
    failed = finished["rate=fast"]
    assert failed.status == "failed"
    assert failed.error == "TypeError: can't multiply sequence by non-int of type 'float'"
    assert finished["speed=1"].error == "KeyError: 'rate'"
    (event,) = EventAccumulator(str(failed.folder)).Reload().Tensors("error/text_summary")
    text = event.tensor_proto.string_val[0].decode()
    assert "Traceback" in text
    # The line itself is there or not, as cloudpickle's release has it.
    assert re.search(r"in roll\n( {4}.*\n)*TypeError: can't multiply", text)


@pytest.mark.parametrize("returned", [None, 0.5, {"loss": "low"}, {"loss": None}])
def test_a_run_that_returns_no_numbers_has_failed(client, tmp_path, returned):
    def odd(settings, data, writer):
        return returned

    (run,) = collect(client, odd, [{"n": 1}], None, tmp_path)
    assert run.status == "failed"
    assert "Error" in run.error


def test_a_run_that_exits_has_failed_and_its_worker_lives(client, tmp_path):
    def leave(settings, data, writer):
        sys.exit("no data")

    before = process_ids(client)
    (run,) = collect(client, leave, [{"n": 1}], None, tmp_path)
    assert (run.status, run.error) == ("failed", "SystemExit: no data")
    assert process_ids(client) == before


def test_a_worker_that_came_later_is_refused_too(client, tmp_path, monkeypatch):
    monkeypatch.setattr("helpers.dask.sweep.VERSIONS", versions() | {"torch": "2.9.0"})
    (run,) = collect(client, roll, [{"rate": 0.1}], None, tmp_path)
    assert run.status == "failed"
    assert "'torch': '2.9.0'" in run.error


# ---- interrupted, and run again ----


def test_an_interrupted_sweep_goes_on_where_it_stopped(client, tmp_path):
    with (
        pytest.raises(KeyboardInterrupt),
        Sweep(client, roll, slopes(20, nap=0.02), None, tmp_path) as sweep,
    ):
        for _ in sweep:
            if len(sweep.finished) == 3:
                raise KeyboardInterrupt
    first = list(sweep.finished)
    # What hasn't begun is called off: the workers are free in a moment, not after 17 runs.
    for _ in range(100):
        tasks = client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks))
        if not tasks:
            break
        time.sleep(0.1)
    assert tasks == 0
    assert len(list(tmp_path.iterdir())) == 3

    with Sweep(client, roll, slopes(20, nap=0.02), None, tmp_path) as again:
        assert sorted(run.name for run in again.already) == sorted(run.name for run in first)
        for _ in again:
            pass
    assert len(again.finished) == 20
    for run in first:
        assert run in again.finished  # with the time of its first and only beginning


def test_a_failed_run_is_tried_again_and_replaced(client, tmp_path):
    marker = tmp_path / "mended"

    def fragile(settings, data, writer):
        if not marker.exists():
            raise FileNotFoundError("not yet")
        return {"n": 1}

    (run,) = collect(client, fragile, [{"n": 1}], None, tmp_path / "out")
    assert run.status == "failed"
    marker.touch()
    (run,) = collect(client, fragile, [{"n": 1}], None, tmp_path / "out")
    assert run.status == "done"
    assert len(list(run.folder.glob("events*"))) == 1


def test_a_run_that_cannot_be_replaced_is_named_and_stays(client, tmp_path, monkeypatch):
    """As on Windows, where no folder goes in which a TensorBoard has a file open."""

    def one(settings, data, writer):
        return {"n": 1}

    def two(settings, data, writer):
        return {"n": 2}

    (run,) = collect(client, one, [{"n": 1}], None, tmp_path / "out")
    monkeypatch.setattr("helpers.dask.sweep.shutil.rmtree", lambda *_, **options: None)
    with pytest.raises(OSError, match=r"n=1 can't be replaced .* If a TensorBoard shows it, stop"):
        collect(client, two, [{"n": 1}], None, tmp_path / "out")
    assert (run.folder / "result.json").is_file()
    monkeypatch.undo()  # what it advises
    (run,) = collect(client, two, [{"n": 1}], None, tmp_path / "out")
    assert run.metrics == {"n": 2}


def test_results_of_another_training_or_other_data_do_not_count(client, tmp_path, monkeypatch):
    def measure(settings, data, writer):
        return {"images": len(data.train)}

    data = load_dataset()
    (run,) = collect(client, measure, [{"n": 1}], data, tmp_path)
    assert [run] == Sweep(client, measure, [{"n": 1}], data, tmp_path).already
    fewer = data._replace(train=torch.utils.data.TensorDataset(*data.train[:100]))
    (other,) = collect(client, measure, [{"n": 1}], fewer, tmp_path)
    assert other.metrics == {"images": 100}

    source = inspect.getsource(measure)
    monkeypatch.setattr("inspect.getsource", lambda thing: source.replace("len", "2 * len"))
    assert Sweep(client, measure, [{"n": 1}], fewer, tmp_path).already == []


def test_the_same_folder_name_is_not_the_same_settings(client, tmp_path):
    collect(client, roll, [{"rate": 0.25}], None, tmp_path)
    assert Sweep(client, roll, [{"rate": "0.25"}], None, tmp_path).already == []


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"settings": {"rate": 0.25}}'])
def test_a_damaged_result_does_not_count(client, tmp_path, content):
    (run,) = collect(client, roll, [{"rate": 0.25}], None, tmp_path)
    (run.folder / "result.json").write_text(content)
    assert Sweep(client, roll, [{"rate": 0.25}], None, tmp_path).already == []
    (again,) = collect(client, roll, [{"rate": 0.25}], None, tmp_path)
    assert again.metrics == run.metrics


def test_a_scheduler_that_dies_leaves_what_has_ended(client, tmp_path):
    runs = slopes(8, nap=0.02)
    with (
        running_scheduler(tmp_path) as (address, process),
        running_worker(address, tmp_path, "only"),
    ):
        lost = connect(address, patience=PATIENCE)
        with (
            pytest.raises(ClusterError, match=r"scheduler is gone: \d of 8 runs are finished"),
            Sweep(lost, roll, runs, None, tmp_path / "out") as sweep,
        ):
            for _ in sweep:
                if len(sweep.finished) == 2:
                    process.kill()
        lost.close()
    assert 2 <= len(sweep.finished) < 8
    with Sweep(client, roll, runs, None, tmp_path / "out") as again:
        assert len(again.already) == len(sweep.finished)
        for _ in again:
            pass
    assert len(again.finished) == 8


# ---- before it begins ----


def test_two_runs_with_the_same_settings_are_a_mistake(client, tmp_path):
    with pytest.raises(ValueError, match=r"two runs have the same settings: rate=0\.1"):
        Sweep(client, roll, [{"rate": 0.1}, {"rate": 0.1}], None, tmp_path)


def test_a_training_without_a_source_is_a_mistake(client, tmp_path):
    with pytest.raises(TypeError, match="train must be a function from a cell or a file"):
        Sweep(client, functools.partial(roll), slopes(2), None, tmp_path)


@pytest.mark.parametrize("settings", [{}, {"path": "../up"}, {"a b": 1}, {"n": "x" * 200}])
def test_settings_that_make_no_folder_are_a_mistake(client, tmp_path, settings):
    with pytest.raises(ValueError, match="can't name a folder"):
        Sweep(client, roll, [settings], None, tmp_path)


def test_a_folder_that_cannot_be_made_is_known_before_anything_runs(client, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        Sweep(client, roll, slopes(2), None, tmp_path / "file" / "out")
