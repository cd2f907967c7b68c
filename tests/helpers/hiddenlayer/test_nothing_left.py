"""Drawing a network leaves nothing of the drawing behind in it."""

import pytest
import torch
from torch import nn

from helpers import hiddenlayer as hl


class Counting(nn.Module):
    """Assigns buffers and an attribute anew in each forward pass."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 2)
        self.register_buffer("calls", torch.zeros(1))
        self.register_buffer("kept", torch.ones(2, 3), persistent=False)

    def forward(self, x):
        self.calls = self.calls + 1
        self.kept = x * 2
        self.last = self.linear(x)
        return self.last


class Caching(nn.Module):
    """Fills a buffer at its first pass."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 2)
        self.register_buffer("cache", None)

    def forward(self, x):
        self.cache = x * 2
        return self.linear(x)


class Registering(nn.Module):
    """Makes a buffer at its first pass."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 2)

    def forward(self, x):
        self.register_buffer("met", x * 2)
        return self.linear(x)


@pytest.mark.parametrize("kind", [Counting, Caching, Registering])
def test_buffers_and_attributes_are_put_back(kind):
    model = kind()
    before = dict(model._buffers)
    contents = {name: buffer.clone() for name, buffer in model.named_buffers()}
    hl.build_graph(model, torch.ones(2, 3))
    assert model._buffers.keys() == before.keys()
    assert all(model._buffers[name] is buffer for name, buffer in before.items())
    assert all(torch.equal(before[name], content) for name, content in contents.items())
    assert not hasattr(model, "last")
    assert model(torch.ones(2, 3)).shape == (2, 2)  # works on, with real tensors
    assert all(type(buffer) is torch.Tensor for buffer in model.buffers())


def test_batch_statistics_stay():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    hl.build_graph(model, torch.rand(4, 1, 8, 8))
    after = model.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], before[name]) for name in before)
