"""Operators are known by what they are, and not by what their names look like."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from helpers.hiddenlayer.operators import describe, is_basic


class Heard(TorchFunctionMode):
    def __init__(self):
        super().__init__()
        self.calls = []

    def __torch_function__(self, function, types, args=(), kwargs=None):
        self.calls.append((describe(function), args, kwargs or {}))
        return function(*args, **(kwargs or {}))


def heard(run):
    with torch.no_grad(), Heard() as mode:
        run()
    return mode.calls


X = torch.zeros(1, 2, 6, 6)


@pytest.mark.parametrize(
    ("run", "name"),
    [
        (lambda: F.conv2d(X, torch.zeros(3, 2, 3, 3)), "Conv"),
        (lambda: F.linear(X, torch.zeros(3, 6)), "Gemm"),
        (lambda: X @ X, "MatMul"),
        (lambda: X.relu_(), "Relu"),
        (lambda: torch.cat([X, X]), "Concat"),
        (lambda: X.view(-1), "Reshape"),
        (lambda: X[0], "Gather"),
        (lambda: X[:, :1], "Slice"),
        (lambda: X[1:], "Slice"),
        (lambda: X[:, None, :1], "Slice"),
        (lambda: X[None], "Unsqueeze"),
        (lambda: X[:, None], "Unsqueeze"),
        (lambda: X[..., None], "Unsqueeze"),
        (lambda: X[0, None], "Gather"),
        (lambda: X[:, [0]], "Gather"),
        (lambda: F.adaptive_avg_pool2d(X, 1), "GlobalAveragePool"),
    ],
)
def test_names_are_onnxs(run, name):
    operator, arguments, _ = heard(run)[-1]
    shape = (1, 2, 1, 1) if name == "GlobalAveragePool" else None
    assert operator.name(arguments, shape) == name


def test_a_function_of_somebody_else_is_none_of_torchs_whatever_it_is_called():
    def dropout(x, p, training):
        return x

    operator = describe(dropout)
    assert operator.word == ""
    assert not operator.unchanged((X, 0.5, False), {})
    assert operator.name((X,), None) == "Dropout"


def test_dropout_hands_its_input_on_in_evaluation_mode_only():
    for training in (True, False):
        layer = nn.Dropout().train(training)
        operator, arguments, keywords = heard(lambda layer=layer: layer(X))[-1]
        assert operator.unchanged(arguments, keywords) is not training


def test_the_kernel_of_a_convolution_comes_under_onnxs_names():
    layer = nn.Conv1d(4, 6, 5, stride=2, padding=1, groups=2)
    (operator, arguments, keywords) = heard(lambda: layer(torch.zeros(1, 4, 9)))[-1]
    found = operator.attributes(arguments, keywords)
    assert found["kernel_shape"] == [5]
    assert (found["strides"], found["pads"], found["group"]) == ([2], [1], 2)


@pytest.mark.parametrize(
    ("run", "unchanged"),
    [
        (lambda: X[:], True),
        (lambda: X[...], True),
        (lambda: X[:, 0:], True),
        (lambda: X[:1], False),
        (lambda: X[:, 1:], False),
        (lambda: X[..., ::2], False),
        (lambda: X[None], False),
    ],
)
def test_an_index_that_takes_all_is_no_step(run, unchanged):
    operator, arguments, keywords = heard(run)[-1]
    assert operator.unchanged(arguments, keywords) is unchanged


def test_questions_about_a_tensor_are_no_steps():
    calls = heard(lambda: (X.shape, X.dim(), X.dtype, X.mT))
    assert [operator.aside for operator, *_ in calls] == [True, True, True, False]


def test_an_index_is_a_view_if_nothing_chooses_among_the_elements():
    assert is_basic((0, slice(None), None, ...))
    assert not is_basic(torch.tensor([0]))
    assert not is_basic(([0, 1], 0))
    assert not is_basic(True)
