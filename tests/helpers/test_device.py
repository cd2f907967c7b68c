"""Which device a name stands for, and that nothing takes a tensor for one on the processor."""

import ast

import nbformat
import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from helpers.chapter import PARAMETERS, check_parameters
from helpers.data import load_dataset, make_loader
from helpers.device import DEVICES, choose_device
from helpers.model import ConvNet, loss_and_accuracy
from tests.conftest import CHAPTERS, ROOT
from tests.helpers.elsewhere import elsewhere


@pytest.fixture
def machine(monkeypatch):
    """A function that says what this machine has."""

    def has(cuda: bool = False, mps: bool = False) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)

    return has


@pytest.mark.parametrize(
    ("there", "taken"),
    [
        ({}, "cpu"),
        ({"mps": True}, "mps"),
        ({"cuda": True}, "cuda"),
        ({"cuda": True, "mps": True}, "cuda"),
    ],
    ids=lambda value: str(value),
)
def test_auto_takes_what_is_there(machine, there, taken):
    machine(**there)
    assert choose_device("auto") == choose_device() == torch.device(taken)
    for name in (*there, "cpu"):
        assert choose_device(name) == torch.device(name)


@pytest.mark.parametrize("name", ["cuda", "mps"])
def test_what_is_not_there_is_refused_and_the_remedy_helps(machine, name):
    machine()
    with pytest.raises(ValueError, match=f"device = '{name}', and PyTorch finds no such") as info:
        choose_device(name)
    written = str(info.value).rpartition("write ")[2].partition(",")[0]
    names = {}
    exec(written, names)
    assert choose_device(names["device"]) == torch.device("cpu")


@pytest.mark.parametrize("name", ["gpu", "CUDA", "cuda:7", "", None, 0])
def test_another_name_is_refused_with_those_that_there_are(name):
    for check in (choose_device, lambda device: check_parameters(device=device)):
        with pytest.raises(ValueError, match="device must be one of 'auto', 'cpu', 'cuda', 'mps'"):
            check(name)


def test_the_parameter_may_be_what_is_chosen_from():
    assert PARAMETERS["device"].choices == DEVICES
    check_parameters(device="auto")


# ---- elsewhere ----


def test_elsewhere_is_as_strict_as_a_graphics_card():
    model = ConvNet()
    image = torch.zeros(1, 1, 28, 28)
    with elsewhere() as device:
        model.to(device)
        for mistake in (
            lambda: model(image),
            lambda: model.out.weight.detach().numpy(),
            lambda: np.asarray(model.out.weight.detach()),
        ):
            with pytest.raises((RuntimeError, TypeError)):
                mistake()
        assert model(image.to(device)).cpu().shape == (1, 10)
    with pytest.raises((RuntimeError, TypeError)):  # a real one without data is no better
        torch.zeros(2, device="meta").numpy()


def test_a_network_learns_and_is_scored_elsewhere_as_here():
    data = load_dataset()
    some = TensorDataset(*data.test[:300])

    def train(device):
        torch.manual_seed(0)
        model = ConvNet().to(device)
        optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, fused=True)
        for _, (images, labels) in zip(range(20), make_loader(data.train), strict=False):
            loss = nn.functional.cross_entropy(model(images.to(device)), labels.to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return loss_and_accuracy(model, some)

    with elsewhere() as device:
        there = train(device)
    here = train(torch.device("cpu"))
    assert there == pytest.approx(here, rel=1e-3)
    assert here.accuracy > 0.5


@pytest.mark.gpu
def test_a_graphics_card_counts_as_the_processor_does():
    device = choose_device("auto")
    assert device.type != "cpu"
    torch.manual_seed(0)
    model, some = ConvNet(), TensorDataset(*load_dataset().test[:300])
    here = loss_and_accuracy(model, some)
    assert loss_and_accuracy(model.to(device), some) == pytest.approx(here, rel=1e-3)


# ---- .numpy() ----

CODE = {
    f"{path.parent.name}/{path.name}": path.read_text(encoding="utf-8")
    for path in sorted((ROOT / "helpers").rglob("*.py"))
} | {
    f"{path.name} [{number}]": cell.source
    for path in CHAPTERS
    for number, cell in enumerate(nbformat.read(path, as_version=4).cells)
    if cell.cell_type == "code"
}


def strays(source: str) -> list[str]:
    """The calls of ``.numpy()`` that aren't made on something that ``.cpu()`` gave just before."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "numpy"
        ):
            before = node.func.value
            methods = set()
            while isinstance(before, ast.Call | ast.Attribute):
                if isinstance(before, ast.Attribute):
                    methods.add(before.attr)
                before = before.func if isinstance(before, ast.Call) else before.value
            if "cpu" not in methods:
                found.append(ast.unparse(node))
    return found


@pytest.mark.parametrize("place", CODE)
def test_numpy_gets_no_tensor_that_may_be_elsewhere(place):
    assert not strays(CODE[place])


def test_strays_are_found():
    assert strays("x = weight.detach().numpy()") == ["weight.detach().numpy()"]
    assert strays("draw(model(images)[0].numpy())") == ["model(images)[0].numpy()"]
    assert not strays("weight.detach().cpu().numpy()")
