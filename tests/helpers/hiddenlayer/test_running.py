"""Models are run quietly, lazy ones as copies, compiled parts as the Python they were made from."""

import logging
import sys
import warnings

import pytest
import torch
from torch import nn

from helpers.hiddenlayer.running import as_python, describe_input, explain, initialized, quiet


def test_a_lazy_model_is_filled_in_a_copy():
    model, x = nn.Sequential(nn.LazyLinear(3), nn.ReLU()), torch.zeros(2, 5)
    filled = initialized(model, (x,), {})
    assert filled[0].weight.shape == (3, 5)
    assert isinstance(model[0], nn.LazyLinear)
    assert nn.parameter.is_lazy(model[0].weight)
    whole = nn.Linear(2, 2)
    assert initialized(whole, (x,), {}) is whole


def test_nothing_is_said_while_it_is_quiet_and_everything_afterwards(capfd, caplog):
    with quiet():
        print("printed")
        print("said", file=sys.stderr)
        logging.getLogger("some").critical("logged")
        warnings.warn("warned", stacklevel=1)
    assert capfd.readouterr() == ("", "")
    assert not caplog.records
    with pytest.raises(ZeroDivisionError), quiet():
        raise ZeroDivisionError
    logging.getLogger("some").critical("again")
    assert [record.message for record in caplog.records] == ["again"]
    with pytest.warns(UserWarning, match="still here"):
        warnings.warn("still here", stacklevel=1)


def test_what_was_compiled_is_python_for_the_time_and_compiled_afterwards():
    before = torch.jit.ScriptFunction.__call__
    with as_python():
        assert torch.jit.ScriptFunction.__call__ is not before
    assert torch.jit.ScriptFunction.__call__ is before


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (torch.zeros(2, 3), "float32 2x3"),
        (torch.tensor(1), "int64 scalar"),
        (3, "3"),
        ("word", "'word'"),
        (object(), "object"),
    ],
)
def test_inputs_are_described_shortly(value, text):
    assert describe_input(value) == text


def test_an_error_becomes_one_sentence():
    text = explain(ValueError("no.\nmore lines"))
    assert text.startswith("it raised ValueError (no); check that it runs")
    assert "to_empty(device='cpu')" in explain(RuntimeError("cannot copy out of meta tensor"))
