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


def test_it_is_torchvizs_own_picture_but_for_the_names():
    output, names = arguments()
    own = torchviz.make_dot(output, params=names).source
    ours = make_dot(output, params=names).source
    pairs = dict(zip(re.findall(r"\t(\d+)", own), re.findall(r"\t(\d+)", ours), strict=True))
    assert re.sub(r"\d{9,}", lambda found: pairs[found[0]], own) == ours
    # 11 leaves with their AccumulateGrad, 15 operations, the output
    assert len(set(pairs.values())) == len(pairs) == 38


def saved_tensors(output):
    """How many tensors the operations of an autograd graph keep, each asked itself."""
    seen, waiting, count = set(), [output.grad_fn], 0
    while waiting:
        function = waiting.pop()
        if function is not None and function not in seen:
            seen.add(function)
            waiting += [before for before, _ in function.next_functions]
            kept = [getattr(function, name) for name in dir(function) if name[:7] == "_saved_"]
            count += sum(isinstance(value, torch.Tensor) for value in kept)
    return count


def test_each_saved_tensor_is_a_box_of_its_own_in_every_run():
    output, names = arguments()
    sources = set()
    for size in range(8):
        other = [torch.zeros(size + 1) for _ in range(size)]  # what has an address in memory
        sources.add(make_dot(output, names, show_saved=True).source)
    assert other
    (source,) = sources
    drawn = re.findall(r"-> (\d+) \[dir=none\]", source)
    assert len(drawn) == saved_tensors(output) > 15
    boxes = [number for number in drawn if re.search(rf"^\t{number} \[.*\n.*orange", source, re.M)]
    assert len(boxes) == len(set(boxes)) > 10


def test_the_library_is_left_as_it_was():
    make_dot(*arguments())
    with pytest.raises(AttributeError):
        make_dot("no tensor")
    assert "id" not in vars(torchviz.dot)


def test_it_is_called_as_torchvizs_own():
    own, ours = (inspect.signature(f).parameters for f in (torchviz.make_dot, make_dot))
    assert [(p.name, p.default) for p in ours.values()] == [
        (p.name, p.default) for p in own.values()
    ]
