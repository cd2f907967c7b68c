"""Event files: what is logged arrives, and when nothing can be written it is said at once."""

import os
import shutil
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from helpers.eventfiles import SummaryWriter
from tests.conftest import ROOT
from tests.small_disk import run_on_small_disk


def read(folder):
    return EventAccumulator(str(folder), size_guidance={"images": 0, "histograms": 0}).Reload()


def test_what_was_added_is_there_without_the_thread_of_tensorboardx(tmp_path):
    before = threading.active_count()
    with SummaryWriter(str(tmp_path)) as writer:
        assert not any("EventLogger" in type(t).__name__ for t in threading.enumerate())
        for step in (1, 2, 3):
            writer.add_scalar("loss", 1 / step, step)
        writer.flush()
        assert [event.step for event in read(tmp_path).Scalars("loss")] == [1, 2, 3]
        writer.add_scalar("loss", 0.1, 4)
    assert [event.step for event in read(tmp_path).Scalars("loss")] == [1, 2, 3, 4]
    assert threading.active_count() == before
    writer.close()  # a second time


def test_an_entry_can_be_read_a_second_later_though_nobody_flushed(tmp_path, monkeypatch):
    monkeypatch.setattr("helpers.eventfiles.FLUSH_SECONDS", 0)
    writer = SummaryWriter(str(tmp_path))
    writer.add_scalar("loss", 1, 1)
    assert [event.step for event in read(tmp_path).Scalars("loss")] == [1]
    writer.close()


HISTOGRAMS = {
    "plain": (torch.tensor([1.0, 2.0]), 2, 0),
    "constant": (torch.full((4,), 1e9), 4, 0),
    "hardly spread": (torch.tensor([1.0, 1.0 + 1e-7]), 2, 0),
    "huge": (torch.tensor([3e38, -3e38]), 2, 0),
    "parameter": (torch.nn.Parameter(torch.ones(3)), 3, 0),
    "bfloat16": (torch.ones(3).bfloat16(), 3, 0),
    "half": (torch.tensor([40000.0, -40000.0]).half(), 2, 0),
    "bool": (torch.tensor([True, False]), 2, 0),
    "whole": (np.arange(5), 5, 0),
    "one infinite": (torch.tensor([1.0, float("inf"), 2.0]), 2, 1),
    "all NaN": (torch.full((3,), float("nan")), 0, 3),
    "empty": (torch.zeros(0), 0, 0),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("bins", [64, "tensorflow"])
@pytest.mark.parametrize("values, finite, others", HISTOGRAMS.values(), ids=HISTOGRAMS)
def test_histograms_of_anything_hold_what_is_finite(tmp_path, values, finite, others, bins):
    with SummaryWriter(str(tmp_path)) as writer:
        writer.add_histogram("w", values, 7, bins=bins)
    events = read(tmp_path)
    (event,) = events.Histograms("w")
    assert event.step == 7
    assert event.histogram_value.num == sum(event.histogram_value.bucket) == finite
    said = {tag: events.Scalars(tag)[0].value for tag in events.Tags()["scalars"]}
    assert said == ({"not_finite/w": others} if others else {})


def test_the_runs_that_are_compared_are_written_alike(tmp_path):
    with SummaryWriter(str(tmp_path)) as writer:
        writer.add_hparams({"rate": 0.1}, {"accuracy": 0.5}, name="one", global_step=1)
    assert [event.value for event in read(tmp_path / "one").Scalars("accuracy")] == [0.5]
    assert read(tmp_path / "one").SummaryMetadata("_hparams_/session_start_info")


FILL = """
    import numpy as np, sys
    from helpers.eventfiles import SummaryWriter

    folder = sys.argv[1] + "/run"
    writer = SummaryWriter(folder)
    added = []
    try:
        for step in range(1000):
            writer.add_image("noise", np.random.rand(3, 100, 100), step)
            added.append(step)
    except OSError as error:
        print(error)
    print(len(added))
    for again in (
        lambda: writer.add_scalar("loss", 1, 1),
        writer.flush,
        lambda: writer.add_hparams({"rate": 1}, {"accuracy": 1}, name="x"),
        lambda: writer.add_embedding(np.random.rand(3000, 64)),
        writer.close,
    ):
        try:
            again()
        except OSError as error:
            print("again:", error)
"""


def test_a_full_disk_is_said_at_once_and_what_was_written_can_be_read(tmp_path):
    command = [sys.executable, "-c", textwrap.dedent(FILL), str(tmp_path / "disk")]
    done, kept = run_on_small_disk(
        command, tmp_path / "disk", 500_000, env=dict(os.environ), timeout=60
    )
    assert done.returncode == 0, done.stderr
    first, number, *later = done.stdout.splitlines()
    assert f"{tmp_path}/disk/run/events.out" in first
    assert "can't be written (" in first
    assert "Make room there or choose another folder" in first
    assert len(later) == 5
    assert all(f"{tmp_path}/disk/run" in line for line in later)
    assert int(number) > 5
    steps = [event.step for event in read(kept / "run").Images("noise")]
    assert steps == list(range(len(steps)))
    assert len(steps) >= int(number) - 3  # what the file's last buffer held
    assert "Traceback" not in done.stderr


def test_a_folder_that_was_deleted_is_said(tmp_path):
    writer = SummaryWriter(str(tmp_path / "run"))
    writer.add_scalar("loss", 1, 1)
    shutil.rmtree(tmp_path / "run")
    with pytest.raises(FileNotFoundError, match=r"run/events.out.*was moved or deleted; begin a"):
        writer.add_scalar("loss", 1, 2)


def test_an_entry_that_cannot_be_written_is_an_error_of_its_own(tmp_path):
    """In tensorboardX's thread it would have ended the log without a word."""
    writer = SummaryWriter(str(tmp_path))
    with pytest.raises(TypeError, match="Event proto"):
        writer.file_writer.event_writer.add_event("no event")
    writer.add_scalar("loss", 1, 2)
    writer.close()
    assert [event.step for event in read(tmp_path).Scalars("loss")] == [2]


def test_scalars_of_one_chart_are_written_at_once_into_a_file_for_each_line(tmp_path):
    before = threading.active_count()
    with SummaryWriter(str(tmp_path)) as writer:
        for step in (1, 2):
            writer.add_scalars("loss", {"train": 1 / step, "test": 2 / step}, step)
        assert not any("EventLogger" in type(t).__name__ for t in threading.enumerate())
        writer.flush()
        for name, values in (("train", [1, 0.5]), ("test", [2, 1])):
            events = read(tmp_path / "loss" / name).Scalars("loss")
            assert [(event.step, event.value) for event in events] == list(enumerate(values, 1))
    missing = pytest.raises(FileNotFoundError, match="was moved or deleted; begin a new run")
    with missing, SummaryWriter(str(tmp_path / "again")) as writer:
        writer.add_scalars("loss", {"train": 1, "test": 2}, 1)
        shutil.rmtree(tmp_path / "again" / "loss" / "train")
        writer.add_scalars("loss", {"train": 1, "test": 2}, 2)
    assert [event.step for event in read(tmp_path / "again" / "loss" / "test").Scalars("loss")] == [
        1
    ]
    assert threading.active_count() == before


def test_what_an_open_writer_still_holds_at_the_interpreters_end_is_written(tmp_path):
    lines = [
        "from helpers.eventfiles import SummaryWriter",
        f"writer = SummaryWriter({str(tmp_path)!r})",
        "writer.add_scalar('loss', 1, 1)",
        "writer.add_scalars('both', {'one': 1}, 1)",
    ]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, cwd=ROOT
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert [event.step for event in read(tmp_path).Scalars("loss")] == [1]
    assert [event.step for event in read(tmp_path / "both" / "one").Scalars("both")] == [1]
