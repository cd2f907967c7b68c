"""What stands in for a caller's tensor: the same shape, strides and dtype, and its own memory."""

import pytest
import torch

from helpers.hiddenlayer.memory import overlap, storage_of
from helpers.hiddenlayer.stand_ins import WAYS, Copies, Fakes, Shapes

BASE = torch.arange(24.0).view(4, 6)
TENSORS = {
    "plain": BASE,
    "turned": BASE.T,
    "offset": BASE[1:, 2:],
    "half": BASE.half(),
    "number": torch.tensor(3),
    "wants a gradient": torch.ones(2, requires_grad=True),
}


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("name", TENSORS)
def test_a_stand_in_looks_like_its_tensor_and_is_another(way, name):
    way, tensor = way(), TENSORS[name]
    other = way.stand_in(tensor)
    assert (other.shape, other.stride(), other.dtype) == (
        tensor.shape,
        tensor.stride(),
        tensor.dtype,
    )
    assert way.has(other)
    if way.computes:
        assert torch.equal(other, tensor)
    assert storage_of(other) != storage_of(tensor)


def test_copies_share_memory_where_the_originals_do():
    way = Copies()
    whole, row = way.stand_in(BASE), way.stand_in(BASE[1])
    assert overlap(whole, row)
    with torch.no_grad():
        row.zero_()
    assert whole[1].sum() == 0
    assert BASE[1].sum() > 0


def test_shapes_have_no_bytes():
    assert Shapes().stand_in(torch.zeros(1000)).is_meta
    assert not Shapes.computes and not Fakes.computes and Copies.computes


def test_a_tensor_of_a_kind_of_its_own_has_no_shape_to_stand_in():
    class Own(torch.Tensor):
        pass

    with pytest.raises(TypeError, match="Own"):
        Shapes().stand_in(torch.zeros(2).as_subclass(Own))
