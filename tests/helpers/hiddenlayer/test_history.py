"""hiddenlayer's History as the course mends it."""

import hiddenlayer
import numpy as np
import pytest
import torch

from helpers import hiddenlayer as hl


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


def test_saved_history_comes_back(history, tmp_path):
    history.save(tmp_path / "history.pkl")
    later = hl.History()
    later.load(tmp_path / "history.pkl")
    assert later.step == (2, 10)
    assert later.metrics == {"loss", "matrix"}
    for name in later.metrics:
        assert later[name].steps == history[name].steps
        np.testing.assert_array_equal(later[name].data, history[name].data)
    later.log((2, 20), loss=0.1)
    assert len(later["loss"].steps) == 4
