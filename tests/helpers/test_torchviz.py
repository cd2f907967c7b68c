"""The autograd graph as text: the same in every run, and torchviz's own but for the names."""

import inspect
import re
from pathlib import Path

import pytest
import torch
import torchviz

from helpers.model import ConvNet
from helpers.torchviz import make_dot

EXPECTED = Path(__file__).with_name("expected")
pytestmark = pytest.mark.filterwarnings("ignore:distutils Version:DeprecationWarning")  # torchviz


def arguments():
    model, x = ConvNet(), torch.zeros(1, 1, 28, 28, requires_grad=True)
    return model(x), dict(model.named_parameters()) | {"x": x}


def test_the_convnets_autograd_graph_is_the_stored_one():
    expected = (EXPECTED / "convnet_torchviz.dot").read_text()
    assert make_dot(*arguments()).source.splitlines() == expected.splitlines()


@pytest.mark.parametrize(
    "options",
    [{}, {"show_saved": True}, {"show_saved": True, "show_attrs": True, "max_attr_chars": 9}],
    ids=["plain", "saved", "attributes"],
)
def test_it_is_torchvizs_own_picture_but_for_the_names(options):
    output, names = arguments()
    own = torchviz.make_dot(output, params=names, **options).source
    ours = make_dot(output, params=names, **options).source
    addresses = dict.fromkeys(re.findall(r"\d{9,}", own))
    for number, address in enumerate(addresses):
        own = own.replace(address, str(number))
    assert ours == own
    if not options:
        assert (
            len(addresses) == 38
        )  # 11 leaves with their AccumulateGrad, 15 operations, the output
    assert not re.search(r"\d{9,}", ours)


def test_it_is_called_as_torchvizs_own():
    own, ours = (inspect.signature(f).parameters for f in (torchviz.make_dot, make_dot))
    assert [(p.name, p.default) for p in ours.values()] == [
        (p.name, p.default) for p in own.values()
    ]
