"""hiddenlayer's History as the course mends it."""

import os
import pickle
import sys
import textwrap

import hiddenlayer
import numpy as np
import pytest
import torch

from helpers import hiddenlayer as hl
from tests.small_disk import run_on_small_disk


def test_metric_has_the_steps_at_which_it_was_logged(history):
    with pytest.raises(ValueError):  # hiddenlayer's own, which this replaces
        hiddenlayer.history.Metric(history, "matrix")
    matrix = history["matrix"]
    assert matrix.steps == [(1, 20), (2, 10)]
    assert matrix.formatted_steps == ["1:20", "2:10"]
    np.testing.assert_array_equal(matrix.data[1], [[0, -1, -2], [-3, -4, -5]])
    assert history["loss"].data.tolist() == [2.5, 1.25, 0.123456]


def test_steps_come_in_order_however_they_were_logged():
    history = hl.History()
    for step in (20, 3, 100):
        history.log(step, value=2 * step)
    assert history["value"].steps == [3, 20, 100]
    assert history["value"].data.tolist() == [6, 40, 200]


def test_unknown_metric_and_changed_shape_are_named(history):
    with pytest.raises(KeyError, match=r"no metric 'los'.*loss, matrix"):
        history["los"]
    with pytest.raises(KeyError, match="nothing yet"):
        hl.History()["loss"]
    history.log((2, 20), matrix=np.zeros((5, 3)))
    with pytest.raises(ValueError, match=r"matrix was logged in several shapes: \[\(2, 3\), \(5,"):
        history["matrix"]


@pytest.mark.parametrize("make", [np.zeros, torch.zeros], ids=["array", "tensor"])
def test_history_keeps_a_copy(make):
    value = make(3)
    history = hl.History()
    history.log(1, value=value)
    value[:] = 7
    assert history["value"].data.tolist() == [[0, 0, 0]]


def test_history_takes_parameters_and_single_numbers():
    history = hl.History()
    parameter = torch.nn.Parameter(torch.ones(2))
    history.log(1, weight=parameter, loss=(parameter * 2).sum(), share=np.float32(0.5))
    assert history["weight"].data.tolist() == [[1, 1]]
    assert history["loss"].data.tolist() == [4]
    assert history["share"].data.tolist() == [0.5]


@pytest.mark.parametrize(
    "dtype", [torch.bfloat16, torch.float16, torch.float64, torch.int64, torch.bool]
)
def test_history_takes_every_dtype(dtype):
    history = hl.History()
    history.log(1, loss=torch.tensor(1.5).to(dtype), weight=torch.ones(2, 3).to(dtype))
    assert history["loss"].data.tolist() == [torch.tensor(1.5).to(dtype).item()]
    assert history["weight"].data.tolist() == [[[1, 1, 1], [1, 1, 1]]]
    assert history["loss"].data.dtype.itemsize != 2


def test_progress_names_a_loss_that_is_a_tensor(capfd):
    history = hl.History()
    history.log(3, loss=torch.tensor(0.5, requires_grad=True), half=np.float16(0.25))
    history.progress()
    assert capfd.readouterr().out.split() == ["Step", "3:", "loss:", "0.5", "half:", "0.25"]


def test_history_takes_lists_that_hold_losses_as_training_gives_them():
    loss = (torch.nn.Parameter(torch.ones(2)) * 2).sum()
    history = hl.History()
    losses = [loss, loss / 2]
    history.log(1, losses=losses, matrix=[[loss, 0], [1, loss]], parts={"a": [loss]})
    losses.clear()
    assert history["losses"].data.tolist() == [[4, 2]]
    assert history["matrix"].data.tolist() == [[[4, 0], [1, 4]]]
    assert history.history[1]["parts"] == {"a": [4]}


@pytest.fixture(params=["history.pkl", "history.npz"])
def file(request, tmp_path):
    return tmp_path / request.param


def test_saved_history_comes_back(history, file):
    history.log((2, 10), note="数据", broken=float("nan"), flag=True)
    history.save(file)
    later = hl.History()
    later.load(file)
    assert later.step == (2, 10)
    assert later.metrics == {"loss", "matrix", "note", "broken", "flag"}
    for name in later.metrics:
        assert later[name].steps == history[name].steps
        np.testing.assert_array_equal(later[name].data, history[name].data)
        assert later[name].data.dtype == history[name].data.dtype
    assert later.get_total_time() == history.get_total_time()
    later.log((2, 20), loss=0.1)
    assert len(later["loss"].steps) == 4


def test_whole_steps_and_no_steps_come_back(file):
    history = hl.History()
    history.save(file)
    history.load(file)
    assert (history.steps, history.step, history.metrics) == ([], None, set())
    history.log(7, loss=1.0)
    history.save(file)
    history.load(file)
    assert history["loss"].steps == [7]


def test_the_ending_chooses_a_format_that_holds_no_code(history, tmp_path):
    history.save(tmp_path / "a.npz")
    assert sorted(np.load(tmp_path / "a.npz", allow_pickle=False).files) == ["0", "1", "entries"]
    history.log((2, 20), parts={"a": 1})
    with pytest.raises(ValueError, match="parts is of the type dict, which only a pickle holds"):
        history.save(tmp_path / "a.npz")
    history.save(tmp_path / "a.pkl")
    later = hl.History()
    later.load(tmp_path / "a.npz")  # which is still the one before
    assert later.steps == history.steps[:-1]


def test_hiddenlayers_own_file_is_read(history, tmp_path):
    with (tmp_path / "own").open("wb") as file:
        pickle.dump(history.history, file)
    later = hl.History()
    later.load(tmp_path / "own")
    assert later["matrix"].data.tolist() == history["matrix"].data.tolist()


DAMAGE = {
    "empty": lambda good: b"",
    "truncated": lambda good: good[: len(good) // 2],
    "cut at the end": lambda good: good[:-1],
    "text": lambda good: b"step,loss\n1,2\n",
    "another zip": lambda good: b"PK\3\4" + good[:50],
    "a number": lambda good: pickle.dumps(3),
    "a list": lambda good: pickle.dumps([1, 2]),
    "a model's weights": lambda good: pickle.dumps({"weight": 3}),
    "text for steps": lambda good: pickle.dumps({"one": {"loss": 1}}),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_file_that_is_no_history_is_named_and_changes_nothing(history, file, damage):
    history.save(file)
    file.write_bytes(damage(file.read_bytes()))
    before = dict(history.history)
    with pytest.raises(ValueError, match=rf"{file.name} is damaged, or no history"):
        history.load(file)
    assert history.history == before
    assert history.step == (2, 10)


def test_a_hostile_pickle_runs_nothing(tmp_path):
    class Hostile:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "owned"),)

    for name, content in {"a": Hostile(), "b": {1: {"loss": Hostile()}}}.items():
        (tmp_path / name).write_bytes(pickle.dumps(content))
        with pytest.raises(ValueError, match=r"it asks for posix\.mkdir, which no history needs"):
            hl.History().load(tmp_path / name)
    (tmp_path / "c.npz").touch()
    np.savez(tmp_path / "c.npz", entries=np.array([Hostile()], dtype=object))
    with pytest.raises(ValueError, match="is damaged"):
        hl.History().load(tmp_path / "c.npz")
    assert not (tmp_path / "owned").exists()


def test_a_save_that_fails_leaves_the_old_file(tmp_path):
    program = """
        import sys
        import numpy as np
        from helpers import hiddenlayer as hl

        for name in ("history.pkl", "history.npz"):
            history = hl.History()
            history.log(1, weight=np.random.rand(10_000))
            history.save(f"{sys.argv[1]}/{name}")
            history.log(2, weight=np.random.rand(10_000), more=np.random.rand(100_000))
            try:
                history.save(f"{sys.argv[1]}/{name}")
            except OSError as error:
                print(error)
    """
    command = [sys.executable, "-c", textwrap.dedent(program), str(tmp_path / "disk")]
    done, kept = run_on_small_disk(command, tmp_path / "disk", 600_000, env=dict(os.environ))
    assert done.returncode == 0, done.stderr
    for name, line in zip(("history.pkl", "history.npz"), done.stdout.splitlines(), strict=True):
        assert f"{tmp_path}/disk/{name} can't be written (" in line
        history = hl.History()
        history.load(kept / name)
        assert history["weight"].data.shape == (1, 10_000)
    assert sorted(path.name for path in kept.iterdir()) == ["history.npz", "history.pkl"]
