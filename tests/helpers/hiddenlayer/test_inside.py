"""What is found inside modules, containers and arguments."""

from collections import OrderedDict, deque, namedtuple
from dataclasses import dataclass

import torch
from torch import nn

from helpers.hiddenlayer.inside import (
    flatten,
    named_modules,
    parameters_of,
    replace_tensors,
    shape_of,
    tensors,
    unwrapped,
)

A, B, C = torch.zeros(1), torch.ones(2), torch.ones(3)
Pair = namedtuple("Pair", "first second")


@dataclass
class Holder:
    kept: object


class Slotted:
    __slots__ = ("kept",)


def test_tensors_are_found_in_anything():
    slotted = Slotted()
    slotted.kept = [C]
    inside = {"a": [A, Pair(B, Holder(slotted))], "again": deque([A]), "text": "no tensor"}
    assert [id(tensor) for tensor in tensors(inside)] == [id(A), id(B), id(C)]
    loop = [A]
    loop.append(loop)
    assert len(tensors(loop)) == 1


def test_modules_are_named_as_torch_names_them_whatever_shadows_the_method():
    model = nn.Sequential(OrderedDict(a=nn.Linear(1, 1), b=nn.Sequential(nn.ReLU())))
    expected = [(name, id(module)) for name, module in model.named_modules()]
    assert [(name, id(module)) for name, module in named_modules(model)] == expected
    model.named_modules = model.modules = None
    assert [(name, id(module)) for name, module in named_modules(model)] == expected


def test_wrappers_are_looked_through():
    model = nn.Linear(2, 2)
    for wrapped in (nn.DataParallel(model), torch.compile(model), nn.DataParallel(model)):
        assert unwrapped(wrapped) is model
        assert [id(p) for p in parameters_of(wrapped)] == [id(p) for p in model.parameters()]


def test_a_shared_parameter_is_counted_once():
    model = nn.ModuleList([nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)])
    model[1].weight = model[0].weight
    assert len(parameters_of(model)) == 1


def test_arguments_are_taken_apart_and_put_together_again():
    arguments = ([A, (B, 1)], {"of": C}, Pair(A, None), slice(A, 2), torch.Size([3]))
    found = []
    flatten(arguments, found)
    assert [id(tensor) for tensor in found] == [id(A), id(B), id(C), id(A), id(A)]
    other = replace_tensors(arguments, {id(A): B})
    assert other[0][0] is B and other[0][1] == (B, 1) and other[1]["of"] is C
    assert other[2] == Pair(B, None) and other[3] == slice(B, 2) and other[4] == torch.Size([3])
    assert type(other[2]) is Pair


def test_shapes_are_plain_numbers():
    assert shape_of(torch.zeros(2, 3)) == (2, 3)
    assert shape_of(torch.tensor(1.0)) == ()
