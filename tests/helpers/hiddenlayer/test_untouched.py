"""Whatever a forward pass touches, at any depth, is as it was once the model has been drawn."""

import random
from collections import OrderedDict, defaultdict, deque

import numpy as np
import pytest
import torch
from torch import nn

from helpers import hiddenlayer as hl
from helpers.hiddenlayer.untouched import untouched
from tests.helpers.hiddenlayer.graphs import raw

LEFT = torch.ones(2, 3)
SEEN, TIMES = [], 0


class Cache(nn.Module):
    """A table made at the first call, and activations that are kept."""

    def __init__(self):
        super().__init__()
        self.bias, self.table, self.kept = nn.Parameter(torch.randn(3, 3)), {}, []

    def forward(self, x):
        if x.device not in self.table:
            self.table[x.device] = self.bias.softmax(-1)
        out = x @ self.table[x.device]
        self.kept.append(out.mean())
        return out


@pytest.mark.parametrize("branch", [False, True], ids=["followed", "really run"])
def test_a_model_that_fills_its_caches_answers_as_before(branch):
    class Model(Cache):
        def forward(self, x):
            out = super().forward(x)
            return out * 2 if branch and out.sum() > -1e9 else out

    model = Model().eval()
    with torch.no_grad():
        before = model(LEFT)
        model.table.clear()
        model.kept.clear()
        graph = raw(model, LEFT)
        assert bool(graph.note) == branch
        assert not model.table
        assert not model.kept
        after = model(LEFT)
    assert type(after) is torch.Tensor
    assert torch.equal(before, after)


class Box:
    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value


class Everything(nn.Module):
    made = 0
    shared: dict = {}  # noqa: RUF012

    def __init__(self):
        super().__init__()
        self.deep = {"a": [{"b": {1, 2}}], "o": OrderedDict(x=1), "d": defaultdict(list)}
        self.line, self.box, self.array = deque([1, 2], maxlen=2), Box([1]), np.zeros(3)
        self.generator, self.random = torch.Generator(), random.Random(3)
        self.numpy = np.random.default_rng(3)
        self.plain = [nn.BatchNorm1d(3)]
        self.register_buffer("counter", torch.zeros(1))
        self.link = self  # a circle

    def forward(self, x):
        global TIMES
        TIMES += 1
        SEEN.append(x)
        type(self).made += 1
        self.shared[x.shape] = x
        self.deep["a"][0]["b"].add(3)
        self.deep["a"].append(x)
        self.deep["o"].move_to_end("x")
        self.deep["o"]["y"] = 2
        self.deep["d"]["new"].append(x)
        self.line.append(x)
        self.box.value.append(x)
        self.box.value = x
        self.array += 1
        self.random.random()
        self.numpy.random()
        torch.rand(1, generator=self.generator)
        self.counter += x.sum()
        self.counter.data.add_(1)
        self.register_buffer("late", x)
        self.new = nn.Linear(3, 3)
        torch.rand(1)
        random.random()
        np.random.rand()
        return self.plain[0](x)


def look(model):
    return (
        repr(model.deep),
        list(model.line),
        repr(model.box.value),  # text: the list itself would be equal to itself
        model.array.tolist(),
        model.generator.get_state().tolist(),
        model.random.getstate(),
        model.numpy.bit_generator.state,
        model.counter.item(),
        int(model.plain[0].num_batches_tracked),
        model.plain[0].running_mean.tolist(),
        sorted(vars(model)),
        sorted(model._buffers),
        sorted(model._modules),
        (Everything.made, repr(Everything.shared), repr(SEEN), TIMES),
        torch.get_rng_state().tolist(),
        random.getstate(),
        str(np.random.get_state()),
    )


@pytest.mark.parametrize("branch", [False, True], ids=["followed", "really run"])
def test_all_that_forward_touches_is_put_back(branch):
    class Model(Everything):
        def forward(self, x):
            x = super().forward(x)
            return x.exp() if branch and x.sum() > 1e9 else x

    model = Model()
    before = look(model)
    graph = raw(model, LEFT)
    assert bool(graph.note) == branch
    assert look(model) == before


def test_what_hooks_keep_is_put_back():
    kept, count = [], 0

    def hook(module, inputs, output):
        nonlocal count
        count += 1
        kept.append(output)
        SEEN.append(output)

    model = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
    model[0].register_forward_hook(hook)
    graph = raw(model, LEFT)
    assert len(graph.nodes) == 2
    assert (kept, count, SEEN) == ([], 0, [])
    model(LEFT)
    assert (len(kept), count) == (1, 1)
    SEEN.clear()


def test_inputs_are_put_back():
    class Fills(nn.Module):
        def forward(self, cache, x):
            cache["x"] = x
            cache["list"].append(x.exp())
            x.add_(1)
            return x.sin()

    cache, x = {"list": []}, LEFT.clone()
    raw(Fills(), (cache, x))
    assert cache == {"list": []}
    assert torch.equal(x, LEFT)


def test_it_is_put_back_after_an_error_too():
    class Fails(nn.Module):
        def forward(self, x):
            SEEN.append(x)
            raise ValueError("no")

    with pytest.raises(hl.GraphError, match="it raised ValueError"):
        raw(Fails(), LEFT)
    assert SEEN == []


def test_a_subclass_of_dict_that_forbids_changes_is_put_back():
    class Strict(dict):
        def __setitem__(self, key, value):
            raise TypeError

        clear = update = __delitem__ = __setitem__

    strict = Strict(a=1)
    with untouched([strict]):
        dict.__setitem__(strict, "b", 2)
        dict.pop(strict, "a")
    assert list(strict.items()) == [("a", 1)]


def test_a_chain_longer_than_pythons_stack():
    chain = None
    for _ in range(5000):
        chain = [chain]
    with untouched(chain):
        chain[0] = None
    assert chain[0] is not None
    links = 0
    while chain:
        chain, links = chain[0], links + 1
    assert links == 5000
