"""What chapter 1 draws and counts, held against PyTorch's own answers."""

import re
from xml.etree import ElementTree

import nbformat
import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

from helpers import hiddenlayer as hl
from helpers.model import ConvNet
from tests.conftest import ROOT

CHAPTER = "01_architecture_graphs"
pytestmark = pytest.mark.filterwarnings("ignore:distutils Version:DeprecationWarning")  # torchviz
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def run(run_chapter):
    return run_chapter(CHAPTER)


@pytest.fixture(scope="module")
def printed(run):
    cells = [cell for cell in run.notebook.cells if cell.cell_type == "code"]
    return "".join(
        output.text for cell in cells for output in cell.outputs if output.output_type == "stream"
    )


def pictures(notebook):
    """The chapter's SVG pictures, in order, each as its title's texts and its size in pixels."""
    found = []
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            text = output.get("data", {}).get("image/svg+xml")
            if text:
                svg = ElementTree.fromstring(text)
                texts = [part.text.strip() for part in svg.iter(f"{SVG}text") if part.text]
                sizes = [float(part.get("font-size", 14)) for part in svg.iter(f"{SVG}text")]
                scale = re.search(r"scale\(([\d.]+)", svg.find(f"{SVG}g").get("transform"))
                width = float(svg.get("width").removesuffix("pt")) * 4 / 3
                view = float(svg.get("viewBox").split()[2])
                shown = width / (view * 4 / 3) * float(scale[1] if scale else 1)
                found.append((texts, width, min(sizes) * 4 / 3 * shown))
    return found


def test_every_graph_is_legible_at_the_width_of_a_notebook(run):
    stored = nbformat.read(ROOT / "notebooks" / f"{CHAPTER}.ipynb", as_version=4)
    for notebook in (run.notebook, stored):
        assert len(pictures(notebook)) == 10
        for texts, width, letters in pictures(notebook):
            assert width < 900, texts
            assert letters > 12, texts  # pixels


def test_the_two_main_pictures_show_what_they_should(run):
    (operations, *_), (gradients, *_) = pictures(run.notebook)[:2]
    assert operations.count("Conv3x3 > Relu") == 2
    assert {"AveragePool2x2", "MaxPool2x2", "Flatten", "x2", "1x1568"} <= set(operations)
    leaves = {name for name, _ in ConvNet().named_parameters()} | {"x"}
    assert leaves <= set(gradients)
    assert gradients.count("AccumulateGrad") == 11


def test_the_broken_network_shows_its_mistake_in_one_picture_only(run):
    (operations, *_), (gradients, *_) = pictures(run.notebook)[7:9]
    assert "Conv3x3 > Relu" in operations
    assert "Concat" in operations
    assert "CatBackward0" in gradients
    assert "coarse.2.weight" in gradients
    assert not [text for text in gradients if "Convolution" in text or "fine" in text]


def test_the_untrained_parameters_are_those_without_a_gradient(run, printed):
    line = re.search(r"in the broken network: (\[.*\])", printed)[1]
    names = {"__name__": "chapter", "torch": torch, "nn": nn}
    for cell in run.notebook.cells:
        if "class Broken" in cell.source:
            exec(cell.source.partition("\n\n\nbroken =")[0], names)
    broken = names["Broken"]()
    broken(torch.rand(4, 1, 28, 28)).sum().backward()
    assert eval(line) == [name for name, p in broken.named_parameters() if p.grad is None]
    assert "in the ConvNet:        []" in printed


def test_saved_tensors_are_in_the_picture(run):
    texts, *_ = pictures(run.notebook)[9]
    assert {"input", "result", "self", "(8, 1, 28, 28)"} <= set(texts)
    assert texts.count("(8, 16, 28, 28)") == 2


def test_pngs_are_there_and_not_blank(run):
    folder = run.output_dir / "run-1"
    for name, ink in (("convnet_hiddenlayer.png", 0.1), ("convnet_torchviz.png", 0.05)):
        picture = np.asarray(Image.open(folder / name).convert("L"))
        assert min(picture.shape) > 300
        assert ink < (picture < 240).mean() < 0.6
    assert not list(folder.glob("*.gv"))


def test_folding_goes_from_69_nodes_to_a_handful(printed):
    counts = re.findall(r"Graph of ResNet: (\d+) nodes, (\d+) edges", printed)
    assert counts == [("69", "76"), ("40", "47"), ("12", "11")]


def test_costs_are_those_that_pytorch_counts(printed):
    row = re.search(r"in all +([\d,]+) +([\d,]+) +([\d,]+)", printed)
    parameters, multiply_adds, memory = (int(number.replace(",", "")) for number in row.groups())
    model, image = ConvNet(), torch.zeros(1, 1, 28, 28)
    assert parameters == sum(p.numel() for p in model.parameters())
    with FlopCounterMode(display=False) as counter:
        model(image)
    assert 2 * multiply_adds == counter.get_total_flops()
    outputs, x = [], image
    for layer in (*model.conv1, *model.conv2, nn.Flatten(), *model.fc, model.out):
        x = layer(x)
        outputs += [x.numel() * 4] * (not isinstance(layer, nn.Flatten))
    assert memory == sum(outputs)
    table = re.findall(r"^(?:conv\d|fc|out)\S* +[A-Z]\w+ .* ([\d,]+)$", printed, re.M)
    assert [int(number.replace(",", "")) for number in table] == outputs


def test_receptive_fields_are_those_that_autograd_finds(printed):
    """With average pooling and no ReLU, exactly the pixels that a unit sees have a gradient."""
    stated = re.findall(r"(conv\d\.\d): sees (\d+) x \d+ pixels; from .* next (\d+)", printed)
    model = ConvNet()
    layers = [model.conv1[0], model.conv1[2], model.conv2[0], nn.AvgPool2d(2)]
    assert [name for name, *_ in stated] == ["conv1.0", "conv1.2", "conv2.0", "conv2.2"]
    for depth, (_, field, step) in enumerate(stated, start=1):
        seen = []
        for unit in (2, 3):
            x = torch.rand(1, 1, 28, 28, requires_grad=True)
            nn.Sequential(*layers[:depth])(x)[0, :, unit, unit].sum().backward()
            rows = x.grad[0, 0].abs().sum(1).nonzero()
            seen.append((rows.min().item(), len(rows)))
        assert [size for _, size in seen] == [int(field)] * 2
        assert seen[1][0] - seen[0][0] == int(step)


def test_what_has_several_graphs_or_none_is_explained(printed):
    assert "Mul from Graph of Undecided: 1 nodes, 0 edges (one way of several" in printed
    assert "Abs from Graph of Undecided: 1 nodes, 0 edges (one way of several" in printed
    assert "ConvNet can't be drawn for float32 1x1x32x32: it raised ValueError" in printed


def test_the_language_model_shows_what_its_text_says(run, printed):
    whole, inside, operations = (texts for texts, *_ in pictures(run.notebook)[4:7])
    assert whole.count("Embedding") == 2
    assert {"blocks.0 to blocks.5", "x6", "shares a weight with token"} <= set(whole)
    counts = [
        int(text.split()[0].replace(",", "")) * (6 if text.endswith("each") else 1)
        for text in whole
        if "parameters" in text
    ]
    in_all = int(re.search(r"^([\d,]+) parameters$", printed, re.M)[1].replace(",", ""))
    assert sum(counts) == in_all + 6240
    assert inside.count("Add") == 3
    assert {"Attention", "blocks.0.mlp"} <= set(inside)
    assert operations.count("MaskedFill") == 1
    assert operations.count("MatMul") == 2


def test_the_mask_touches_the_scores_and_the_residual_stream_passes_by(run):
    names = {"__name__": "chapter", "torch": torch, "nn": nn}
    for cell in run.notebook.cells:
        if "class GPT" in cell.source:
            exec(cell.source, names)
    graph = hl.build_graph(names["GPT"](layers=1), names["text"], depth=3)
    (mask,) = [node for node in graph.nodes.values() if node.op == "MaskedFill"]
    assert [node.op for node in graph.incoming(mask)] == ["Div"]
    assert [node.op for node in graph.outgoing(mask)] == ["Softmax"]
    adds = [node for node in graph.nodes.values() if node.op == "Add"]
    assert adds[0] in graph.incoming(adds[1])
    assert adds[1] in graph.incoming(adds[2])
    model = names["GPT"]().eval()
    text = torch.randint(65, (1, 64))
    other = text.clone()
    other[0, 40:] = 0
    torch.testing.assert_close(model(text)[:, :40], model(other)[:, :40])


class Checkpointed(nn.Module):
    def __init__(self, reentrant):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 1)
        self.by_size = nn.ModuleDict({'3"': nn.Linear(3, 3)})
        self.reentrant = reentrant

    def forward(self, x):
        x = checkpoint(lambda v: self.b(v).relu(), self.a(x), use_reentrant=self.reentrant)
        return self.c(self.by_size['3"'](x))


@pytest.mark.parametrize("reentrant", [True, False])
def test_not_trained_asks_the_gradients(run, reentrant):
    names = {}
    for cell in run.notebook.cells:
        if "def not_trained" in cell.source:
            exec(cell.source.partition("\n\n\nprint")[0], names)
    model = Checkpointed(reentrant)
    model.c.bias.requires_grad_(False)
    assert names["not_trained"](model, model(torch.rand(4, 3)).sum()) == ["c.bias"]
    assert names["not_trained"](model) == ["c.bias"]


def test_tensorboard_has_the_graph(run):
    (file,) = (run.output_dir / "run-1").glob("events.out.*")
    graph = EventAccumulator(str(file)).Reload().Graph()
    scopes = {node.name.rpartition("/")[0] for node in graph.node}
    assert any("Conv2d[0]" in scope for scope in scopes)


def test_solutions_say_what_they_found(printed):
    assert "Sequential conv1, 160 parameters, 1x16x14x14\nSequential conv2, 4,640 para" in printed
    assert "\nFlatten \nSequential fc, 209,088 parameters, 1x64\nLinear out, 650 para" in printed
    assert "['conv1.0.weight', 'conv1.0.bias']" in printed
    assert "'AvgPool2DBackward0': 1" in printed
    assert printed.count("_DenseBlock ") == 4
    assert printed.count("_Transition ") == 3
    counts = re.findall(r"(\d) Graph of DenseNet: (\d+) nodes", printed)
    assert [(int(depth), int(nodes)) for depth, nodes in counts] == [(1, 5), (2, 16), (3, 83)]
