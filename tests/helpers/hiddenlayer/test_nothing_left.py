"""Drawing a network leaves nothing of the drawing behind in it."""

import pytest
import torch
from torch import nn

from helpers import hiddenlayer as hl


class Counting(nn.Module):
    """Assigns a buffer, a parameter's data and an attribute anew in each forward pass."""

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


@pytest.mark.parametrize("training", [True, False])
def test_buffers_and_attributes_are_put_back(training):
    model = Counting().train(training)
    before = {name: (buffer, buffer.clone()) for name, buffer in model.named_buffers()}
    hl.build_graph(model, torch.ones(2, 3))
    for name, (buffer, content) in before.items():
        assert model.get_buffer(name) is buffer
        assert torch.equal(buffer, content)
    assert not hasattr(model, "last")
    assert "calls" in model._buffers
    assert model(torch.ones(2, 3)).shape == (2, 2)  # works on, with real tensors
    assert model.calls.item() == 1


def test_batch_statistics_stay():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    hl.build_graph(model, torch.rand(4, 1, 8, 8))
    after = model.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], before[name]) for name in before)
