"""Graphs: folded, saved, drawn as a picture, and the same text in every run."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from helpers import hiddenlayer as hl
from helpers.model import ConvNet
from tests.conftest import ROOT
from tests.helpers.hiddenlayer.graphs import DIGIT, classifier, ops, raw
from tests.small_disk import run_on_small_disk

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


# ---- any text is text, any list of transforms ends ----


@pytest.mark.parametrize(
    "name", ["Conv & ReLU", "n < 3", "Stage <1>", "卷积块", 'a "b"', "a &gt; b", "x\\n", "<b>"]
)
def test_a_title_is_the_text_that_was_given(name):
    model = nn.Sequential(nn.Conv2d(1, 1, 3), nn.ReLU())
    graph = hl.build_graph(model, DIGIT, [Fold("Conv > Relu", "Block", name)])
    svg = ElementTree.fromstring(graph._repr_svg_())
    texts = [t.text.replace("\xa0", " ") for t in svg.iter("{http://www.w3.org/2000/svg}text")]
    assert texts == [name]


def test_names_of_modules_are_text_too():
    model = nn.ModuleDict({'3" & <x>:y': nn.Linear(3, 3)})
    model.forward = lambda x: model['3" & <x>:y'](x).relu()
    for graph in (hl.build_graph(model, torch.zeros(2, 3), depth=1), raw(model, torch.zeros(2, 3))):
        svg = graph._repr_svg_()
        assert svg.count('class="edge"') == 1
        assert svg.count('class="node"') == 2
    assert "3&quot; &amp; &lt;x&gt;:y" in hl.build_graph(
        model, torch.zeros(2, 3), depth=1
    )._repr_svg_().replace("&#160;", " ")


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    ("transforms", "expected"),
    [
        ([Fold("Relu", "Relu", "Activation")], ["Linear", "Activation", "Activation"]),
        ([Fold("Relu", "__first__")], ["Linear", "Relu", "Relu"]),
        ([Fold("Linear > Relu", "Linear")], ["Linear > Relu > Relu"]),
        (
            [
                hl.transforms.Prune("Linear"),
                hl.transforms.Prune("Relu"),
                hl.transforms.FoldDuplicates(),
            ],
            [],
        ),
    ],
)
def test_any_list_of_transforms_ends(transforms, expected):
    model = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.ReLU())
    graph = hl.build_graph(model, torch.zeros(2, 3), transforms)
    assert [node.title for node in graph.nodes.values()] == expected


# ---- modules as boxes ----


class Layer(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.up, self.down = nn.Linear(width, 16), nn.Linear(16, width)

    def forward(self, x):
        return x + self.down(self.up(x).relu())


class Stack(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(10, 8)
        self.layers = nn.ModuleList([Layer() for _ in range(6)])
        self.shared, self.head = Layer(), nn.Linear(8, 10)

    def forward(self, words):
        x = self.embed(words)
        for layer in self.layers:
            x = layer(x)
        for _ in range(3):
            x = self.shared(x).tanh()
        return self.head(x)


WORDS = torch.zeros(2, 5, dtype=torch.int64)


def test_a_module_at_a_depth_is_one_box_and_alike_neighbours_too():
    graph = hl.build_graph(Stack(), WORDS, depth=1)
    found = [(n.title, n.caption, n.repeat) for n in graph.nodes.values()]
    shared = ("Layer", "shared\n280 parameters\n2x5x8", 1)
    assert found == [
        ("Embedding", "embed\n80 parameters\n2x5x8", 1),
        ("Layer", "layers.0 to layers.5\n280 parameters each\n2x5x8", 6),
        *[shared, ("Tanh", "", 1)] * 3,
        ("Linear", "head\n90 parameters\n2x5x10", 1),
    ]
    assert [shape for *_, shape in graph.edges] == [(2, 5, 8)] * 8
    svg = graph._repr_svg_()
    assert "layers.0 to layers.5" in svg.replace("&#160;", " ")
    assert ">x6<" in svg


def test_the_next_depth_opens_the_boxes():
    graph = hl.build_graph(Stack(), WORDS, depth=2)
    titles = [node.title for node in graph.nodes.values()]
    assert titles[:5] == ["Embedding", "Linear", "Relu", "Linear", "Add"]
    assert len(titles) == 1 + 9 * 4 + 3 + 1
    assert graph.nodes[list(graph.nodes)[1]].caption == "layers.0.up\n144 parameters\n2x5x16"
    deeper = hl.build_graph(Stack(), WORDS, depth=3)
    assert [n.title for n in deeper.nodes.values()] == titles


def test_the_same_module_in_a_row_is_one_box_with_one_name():
    model = nn.Sequential(*[Layer()] * 4)
    (box,) = hl.build_graph(model, torch.zeros(2, 8), depth=1).nodes.values()
    assert (box.repeat, box.caption) == (4, "0\n280 parameters\n2x8")


@pytest.mark.parametrize(
    "layers",
    [
        [nn.Linear(8, 8), nn.Linear(8, 8, bias=False)],
        [nn.MaxPool1d(2), nn.MaxPool1d(2)],  # another shape
        [nn.LeakyReLU(), nn.ReLU()],
        [nn.Conv1d(2, 2, 3, padding=1), nn.Conv1d(2, 2, 3, padding=2, dilation=2)],
    ],
)
def test_neighbours_that_differ_stay_apart(layers):
    graph = hl.build_graph(nn.Sequential(*layers), torch.zeros(1, 2, 8), depth=1)
    assert [node.repeat for node in graph.nodes.values()] == [1, 1]


def test_boxes_of_modules_can_be_folded_by_pattern():
    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU())
    transforms = [Fold("Linear > ReLU", "Dense", "Dense & ReLU"), hl.transforms.FoldDuplicates()]
    graph = hl.build_graph(model, torch.zeros(2, 8), transforms, depth=1)
    assert boxes(graph) == ["Dense & ReLU x2"]


def test_networks_of_every_size_fit_a_page():
    densenet = classifier("densenet121")
    image = torch.zeros(1, 3, 64, 64)
    sizes = [len(hl.build_graph(densenet, image, depth=depth).nodes) for depth in (1, 2, 3)]
    assert sizes[0] < sizes[1] < 20 < sizes[2] < 100
    resnet = hl.build_graph(classifier("resnet18"), image, depth=1)
    total = sum(node.parameters for node in resnet.nodes.values() if hasattr(node, "parameters"))
    assert total == sum(p.numel() for p in classifier("resnet18").parameters())


@pytest.mark.parametrize("depth", [0, -1, "2", 1.5])
def test_another_depth_is_an_error(depth):
    with pytest.raises(ValueError, match="depth is a number of calls, 1 or more"):
        hl.build_graph(Stack(), WORDS, depth=depth)


def test_a_full_disk_leaves_the_picture_that_was_there(tmp_path):
    program = """
        import sys
        import torch
        from pathlib import Path
        from helpers import hiddenlayer as hl
        from helpers.model import ConvNet

        graph = hl.build_graph(ConvNet(), torch.zeros(1, 1, 28, 28))
        path = graph.save(f"{sys.argv[1]}/graph.svg")
        Path(sys.argv[1], "filler").write_bytes(b"0" * 60_000)
        graph.name = "x" * 100_000
        try:
            graph.save(path)
        except OSError as error:
            print(error)
    """
    command = [sys.executable, "-c", textwrap.dedent(program), str(tmp_path / "disk")]
    done, kept = run_on_small_disk(command, tmp_path / "disk", 120_000, env=dict(os.environ))
    assert done.returncode == 0, done.stderr
    assert f"{tmp_path}/disk/graph.svg can't be written (" in done.stdout
    assert sorted(path.name for path in kept.iterdir()) == ["filler", "graph.svg"]
    assert (kept / "graph.svg").read_text().rstrip().endswith("</svg>")
