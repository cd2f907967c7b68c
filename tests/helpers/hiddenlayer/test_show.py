"""hiddenlayer's own write and show_images, on what people hand to them today."""

import inspect

import hiddenlayer
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from helpers import hiddenlayer as hl

DOCUMENTED = ("Canvas", "Graph", "History", "build_graph", "history", "show_images", "transforms")


def test_all_names_of_hiddenlayers_documentation_are_here():
    public = {name for name in vars(hiddenlayer) if name in (*DOCUMENTED, "Node", "write", "graph")}
    assert public <= set(hl.__all__)
    assert set(DOCUMENTED) <= public
    assert hl.history.History is hl.History
    assert hl.history.format_step((9, 99), zero_prefix=True) == "0009:000099"


def test_write_says_what_hiddenlayers_says(capfd):
    hiddenlayer.write("images", np.array([[0.0, 1.5]], np.float32))
    own = capfd.readouterr().out.split()
    hl.write("images", np.array([[0.0, 1.5]], np.float32))
    assert capfd.readouterr().out.split() == own
    assert own == ["images", "Tensor", "float32", "(1,", "2)", "min:", "0.000", "max:", "1.500"]


@pytest.mark.parametrize(
    "thing, said",
    [
        (torch.tensor([True, False]), "Tensor bool (2,) min: 0.000 max: 1.000"),
        (torch.ones(2).bfloat16(), "Tensor float32 (2,) min: 1.000 max: 1.000"),
        (torch.nn.Parameter(torch.ones(2)), "Tensor float32 (2,) min: 1.000 max: 1.000"),
        (np.zeros((0, 3)), "Tensor float64 (0, 3)"),
        (np.array(["a"]), "Tensor <U1 (1,)"),
        (torch.tensor(2.5, requires_grad=True), "2.5"),
        ([1, 2], "list len: 2 [1, 2]"),
        ("text", "text"),
    ],
)
def test_write_takes_anything(thing, said, capfd):
    hl.write(thing)
    assert capfd.readouterr().out.split() == said.split()


def test_show_images_takes_tensors():
    images = [torch.rand(4, 4, requires_grad=True), torch.rand(4, 4).half(), np.eye(4)]
    hl.show_images(images, titles=["a", "b", "c"], cols=2)
    axes = plt.gcf().axes
    plt.close()
    assert [ax.get_title() for ax in axes] == ["a", "b", "c"]
    assert axes[2].images[0].get_array().tolist() == np.eye(4).tolist()
    assert axes[0].images[0].get_array().shape == (4, 4)
    assert list(inspect.signature(hl.show_images).parameters)[:3] == ["images", "titles", "cols"]
