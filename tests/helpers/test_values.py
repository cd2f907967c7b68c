"""Numbers of every kind, in every container, and bins for any that are finite."""

import numpy as np
import pytest
import torch

from helpers.values import bin_edges, plain

FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn)


@pytest.mark.parametrize("dtype", [*FLOATS, torch.int64, torch.uint8, torch.bool, torch.complex64])
def test_a_tensor_of_any_dtype_is_an_array_of_the_same_numbers(dtype):
    tensor = torch.tensor([1.0, 0.0, 1.5]).to(dtype)
    array = plain(tensor)
    assert isinstance(array, np.ndarray)
    assert array.tolist() == tensor.tolist()
    assert array.dtype.itemsize >= 4 or not tensor.is_floating_point()


def test_containers_are_gone_through_to_the_bottom():
    weight = torch.nn.Parameter(torch.ones(2))
    loss = (weight * 3).sum()
    found = plain({"a": [loss, [weight, (loss, "text")]], "b": None, "c": torch.ones(1).conj()})
    assert found["a"][0] == 6.0
    assert found["a"][1][0].tolist() == [1, 1]
    assert found["a"][1][1] == [6.0, "text"]
    assert found["b"] is None
    assert plain(np.float16(0.5)).dtype == np.float32
    assert plain(torch.tensor([1 + 2j]).conj()).tolist() == [1 - 2j]


FINITE = {
    "spread": np.array([-1.0, 0.5, 3.0]),
    "constant": np.full(5, 1e9),
    "zero": np.zeros(5),
    "one unit in the last place": np.nextafter(np.float32([1, 1]), np.float32([1, 2])),
    "whole": np.array([-(2**62), 2**62]),
    "huge float32": np.float32([-3.4e38, 3.4e38]),
    "huge float64": np.array([-1.7e308, 1.7e308]),
    "denormal": np.array([1e-320, 2e-320]),
    "half": np.float16([-40000, 40000]),
    "empty": np.zeros(0),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("values", FINITE.values(), ids=FINITE)
def test_bins_hold_every_finite_number(values):
    edges = bin_edges(values, 7)
    assert edges.shape == (8,)
    assert edges.dtype == float
    assert np.isfinite(edges).all()
    assert (edges[1:] >= edges[:-1]).all()
    assert edges[0] < edges[-1]
    assert np.histogram(values.astype(float), edges)[0].sum() == values.size


def test_bins_begin_and_end_with_the_data_and_alike_ones_stand_in_the_middle():
    assert bin_edges(np.array([1.0, 3.0]), 2).tolist() == [1, 2, 3]
    assert np.histogram(np.ones(4), bin_edges(np.ones(4), 3))[0].tolist() == [0, 4, 0]
    assert bin_edges(np.zeros(3), 2).tolist() == [-0.5, 0, 0.5]
