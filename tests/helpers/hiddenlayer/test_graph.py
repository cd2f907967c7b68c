"""Graphs: folded, saved, drawn as a picture, and the same text in every run."""

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from PIL import Image

from helpers import hiddenlayer as hl
from helpers.model import ConvNet
from tests.conftest import ROOT
from tests.helpers.hiddenlayer.graphs import DIGIT, classifier, ops, raw

EXPECTED = Path(__file__).parents[1] / "expected"


# ---- folding: hiddenlayer's documented demos, with their block counts ----

Fold = hl.transforms.Fold


DEMO = [
    Fold("Conv > BatchNorm > Relu", "ConvBnRelu"),
    Fold("Conv > BatchNorm", "ConvBn"),
    Fold(
        "((ConvBnRelu > ConvBnRelu > ConvBn) | ConvBn) > Add > Relu",
        "BottleneckBlock",
        "Bottleneck Block",
    ),
    Fold("ConvBnRelu > ConvBnRelu > ConvBn > Add > Relu", "ResBlock", "Residual Block"),
    hl.transforms.FoldDuplicates(),
]


def boxes(graph):
    return [f"{node.title.replace('&gt;', '>')} x{node.repeat}" for node in graph.nodes.values()]


def test_resnet101_folds_into_bottleneck_and_residual_blocks():
    graph = hl.build_graph(classifier("resnet101"), torch.zeros(1, 3, 224, 224), DEMO)
    assert boxes(graph) == [
        "Conv7x7 > BatchNorm > Relu x1",
        "MaxPool3x3 x1",
        "Bottleneck Block x1",
        "Residual Block x2",
        "Bottleneck Block x1",
        "Residual Block x3",
        "Bottleneck Block x1",
        "Residual Block x22",
        "Bottleneck Block x1",
        "Residual Block x2",
        "GlobalAveragePool x1",
        "Flatten x1",
        "Linear x1",
    ]
    shapes = [shape for *_, shape in graph.edges]
    assert shapes[3:5] == [(1, 256, 56, 56), (1, 512, 28, 28)]
    assert shapes[-2:] == [(1, 2048, 1, 1), (1, 2048)]


def test_alexnet_with_the_default_transforms():
    graph = hl.build_graph(classifier("alexnet"), torch.zeros(1, 3, 224, 224))
    assert boxes(graph) == [
        "Conv11x11 > Relu x1",
        "MaxPool3x3 x1",
        "Conv5x5 > Relu x1",
        "MaxPool3x3 x1",
        "Conv3x3 > Relu x3",
        "MaxPool3x3 x1",
        "AveragePool x1",
        "Flatten x1",
        "Linear > Relu x2",
        "Linear x1",
    ]


def test_vgg16_with_the_default_transforms():
    model = classifier("vgg16")
    graph = hl.build_graph(model, torch.zeros(1, 3, 224, 224))
    assert len(raw(model, torch.zeros(1, 3, 224, 224)).nodes) == 38
    repeats = [node.repeat for node in graph.nodes.values() if node.op == "ConvRelu"]
    assert repeats == [2, 2, 3, 3, 3]
    assert len(graph.nodes) == 14


def test_folding_by_module_keeps_shapes_and_order():
    folds = [
        hl.transforms.FoldId(rf"(ConvNet/Sequential\[{name}\])", "Part", name)
        for name in ("conv1", "conv2", "fc")
    ]
    graph = hl.build_graph(ConvNet(), DIGIT, folds)
    assert boxes(graph) == ["conv1 x1", "conv2 x1", "Flatten x1", "fc x1", "Linear x1"]
    assert [shape for *_, shape in graph.edges] == [
        *((1, 16, 14, 14), (1, 32, 7, 7), (1, 1568), (1, 64))
    ]
    assert graph["ConvNet/Sequential[conv1]"].output_shape == (1, 16, 14, 14)


def test_prune_and_rename_work_too():
    prune, rename = hl.transforms.Prune("MaxPool"), hl.transforms.Rename(op="Relu", to="ReLU")
    graph = hl.build_graph(ConvNet(), DIGIT, [prune, rename])
    assert "MaxPool" not in ops(graph)
    assert ops(graph).count("ReLU") == 4
    assert len(graph.nodes) == 11
    assert len(graph.edges) == 9


def test_the_graph_knows_its_neighbours_before_and_after_changes():
    graph, other = hl.Graph("g"), {}
    for name in "abcde":
        other[name] = hl.Node(name, None, name.upper(), (ord(name),))
        graph.add_node(other[name])
    for start, end in ("ab", "ac", "bd", "cd", "de"):
        graph.add_edge(other[start], other[end], (ord(start),))
        graph.add_edge(other[start], other[end], (0,))  # a second edge is none
    assert [node.id for node in graph.outgoing(other["a"])] == ["b", "c"]
    assert [node.id for node in graph.incoming([other["b"], other["d"]])] == ["a", "c"]
    new = hl.Node("new", None, "New")
    graph.replace([other["b"], other["d"]], new)
    assert graph.edges == [
        *(("a", "c", (97,)), ("a", "new", (97,)), ("c", "new", (99,)), ("new", "e", (100,)))
    ]
    assert new.output_shape == (100,)
    graph.remove(other["c"])
    assert [node.id for node in graph.incoming(new)] == ["a"]
    assert len(graph.edges) == 2


IMPORTS = """
import hiddenlayer, hiddenlayer.canvas, hiddenlayer.graph, hiddenlayer.history
import hiddenlayer.transforms, hiddenlayer.ge, sys
modules = {name: module for name, module in sys.modules.items() if name.startswith("hiddenlayer")}
def look():
    seen = {}
    for name, module in modules.items():
        for key, value in vars(module).items():
            seen[name, key] = id(value)
            if isinstance(value, type):
                parts = {k: v for k, v in vars(value).items() if k != "__slotnames__"}  # by copy
                seen |= {(name, key, k): id(v) for k, v in parts.items()}
    return seen
before = look()
themes = repr(hiddenlayer.graph.THEMES)
from helpers import hiddenlayer as hl
from helpers.model import ConvNet
import torch
graph = hl.build_graph(ConvNet(), torch.zeros(1, 1, 28, 28))
graph.theme["fill_color"] = "red"
hl.Graph("g").theme["fill_color"] = "red"
graph.build_dot()
assert look() == before, set(look().items()) ^ set(before.items())
assert repr(hiddenlayer.graph.THEMES) == themes
print(graph.build_dot().source)
names = "abcdefghij"
web, nodes = hl.Graph("web"), [hl.Node(name, None, name) for name in names]
for node in nodes:
    web.add_node(node)
for start in nodes:
    for end in nodes[nodes.index(start) + 1 :]:
        web.add_edge(start, end, (names.index(start.id), names.index(end.id)))
web.replace(nodes[3:7], hl.Node("group", None, "group"))
print(web.build_dot().source)
"""


def dot_text_in_a_new_process(hash_seed):
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS],
        cwd=ROOT,
        env=os.environ | {"PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout


def test_hiddenlayer_itself_stays_as_it_is_and_the_picture_is_the_same_in_every_process():
    assert dot_text_in_a_new_process("1") == dot_text_in_a_new_process("2")


def test_the_same_model_is_the_same_text():
    model, image = classifier("googlenet"), torch.zeros(1, 3, 64, 64)
    first, second = (hl.build_graph(model, image).build_dot().source for _ in range(2))
    assert first == second
    assert len(first) > 10_000


def test_the_names_read_as_in_hiddenlayers_documentation():
    import hiddenlayer

    assert hl.graph.THEMES is hiddenlayer.graph.THEMES
    assert hl.transforms is hiddenlayer.transforms
    assert issubclass(hl.Graph, hiddenlayer.graph.Graph)
    assert issubclass(hl.History, hiddenlayer.history.History)
    assert issubclass(hl.Canvas, hiddenlayer.canvas.Canvas)


# ---- pictures ----


def test_the_convnets_graph_is_the_stored_one():
    graph = hl.build_graph(ConvNet(), DIGIT)
    graph.theme = hl.graph.THEMES["blue"].copy()
    expected = (EXPECTED / "convnet_hiddenlayer.dot").read_text()
    assert graph.build_dot().source.splitlines() == expected.splitlines()


@pytest.fixture(scope="module")
def convnet():
    return hl.build_graph(ConvNet(), DIGIT)


def test_it_shows_as_svg(convnet):
    svg = ElementTree.fromstring(convnet._repr_svg_())
    texts = [text.text for text in svg.iter("{http://www.w3.org/2000/svg}text")]
    assert "Conv3x3 > Relu" in texts
    assert "x2" in texts
    assert "1x16x28x28" in [text.strip() for text in texts]
    assert 200 < float(svg.get("width").removesuffix("pt")) < 675  # 900 pixels, a page's width


@pytest.mark.parametrize("as_text", [True, False])
def test_it_saves_a_png_that_isnt_blank(convnet, tmp_path, as_text):
    path = tmp_path / "new" / "convnet.png"
    assert convnet.save(str(path) if as_text else path, format="png") == path
    picture = np.asarray(Image.open(path).convert("L"))
    assert picture.shape[0] > 800
    assert picture.shape[1] > 300
    assert 0.1 < (picture < 240).mean() < 0.6  # boxes, of a light grey


@pytest.mark.parametrize(
    ("name", "format", "saved", "start"),
    [
        ("a.pdf", None, "a.pdf", b"%PDF"),
        ("a", None, "a.pdf", b"%PDF"),
        ("a.svg", None, "a.svg", b"<?xml"),
        ("a", "svg", "a.svg", b"<?xml"),
        ("v1.2", "png", "v1.2.png", b"\x89PNG"),
    ],
)
def test_the_format_is_the_one_asked_for(convnet, tmp_path, name, format, saved, start):
    path = convnet.save(tmp_path / name, format)
    assert path == tmp_path / saved
    assert path.read_bytes().startswith(start)
    assert [found.name for found in tmp_path.iterdir()] == [saved]


def test_layout_and_theme_are_in_the_picture():
    graph = hl.build_graph(ConvNet(), DIGIT)
    graph.layout["rankdir"] = "LR"
    graph.theme = hl.graph.THEMES["blue"].copy()
    root = ElementTree.fromstring(graph._repr_svg_())
    assert float(root.get("width")[:-2]) > 5 * float(root.get("height")[:-2])
    assert "#bcd6fc" in graph._repr_svg_().lower()


@pytest.mark.timeout(240)  # as hiddenlayer would lay it out, it takes 18 minutes
def test_a_densenet_is_laid_out_while_one_waits(tmp_path):
    graph = hl.build_graph(classifier("densenet121"), torch.zeros(1, 3, 64, 64))
    assert len(graph.edges) == 847
    path = graph.save(tmp_path / "densenet.svg")
    assert path.read_text().count('class="node"') == 313


def test_missing_dot_is_named_with_the_remedy(convnet, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    for draw in (convnet._repr_svg_, lambda: convnet.save(tmp_path / "a.png")):
        with pytest.raises(hl.GraphError, match=r"program dot.*apt install graphviz"):
            draw()
    assert not list(tmp_path.iterdir())


def test_an_unknown_format_is_named(convnet, tmp_path):
    with pytest.raises(ValueError, match="png, pdf or svg, not as 'jpeg'"):
        convnet.save(tmp_path / "a.jpeg")
