"""Numbers in the chapters' sentences that stand in no output and no code beside them.

A line is a chapter, a piece of its text with # for each number, and what the numbers are. Where
they can be computed, they are, from the course itself; where they can't, because they are advice
or were judged by eye, they stand here with the reason. ``test_prose.py`` says what is missing.
"""

import ast
import functools
import inspect
import math
import re
from importlib.metadata import version

import numpy as np
import torchvision
from sklearn.datasets import load_iris
from torch import nn

from helpers import hiddenlayer as hl
from helpers.clinic import ILLNESSES, NAMES, Illness, Recipe, ill_recipe
from helpers.data import load_dataset
from helpers.model import IMAGE_SHAPE, ConvNet
from helpers.torchviz import make_dot
from tests.records.prose import Section

MNIST = 60_000, 10_000
"""Training and test images, as ``load_dataset`` documents it."""


def code(chapter: list[Section]) -> str:
    return "\n".join(line for section in chapter for line in section.code)


def number_in_code(chapter: list[Section], pattern: str) -> int:
    """The number that a regular expression finds in the code, the same wherever it does."""
    (number,) = set(re.findall(pattern, code(chapter)))
    return int(number)


def section(chapter: list[Section], heading: str) -> Section:
    (found,) = (part for part in chapter if part.heading.lstrip("# ") == heading)
    return found


def points(chapter: list[Section], heading: str) -> int:
    """The points of a list in the text of a section."""
    return len(re.findall(r"^- ", section(chapter, heading).text, re.M))


def logging_calls(chapter: list[Section]) -> int:
    return code(chapter).partition("events = ")[0].count("writer.add_")


def operations_of_resnet(chapter: list[Section]) -> int:
    raw = re.compile(r"raw +Graph of ResNet: (\d+) nodes")
    return next(int(m[1]) for s in chapter for line in s.outputs if (m := raw.match(line)))


def picture(size: int):
    import torch

    return torch.zeros(1, 3, size, size)


def resnet50_boxes(_) -> tuple:
    model = torchvision.models.resnet50()
    dot = make_dot(model(picture(64)), params=dict(model.named_parameters()))
    return 50, sum("->" not in line and "[label=" in line for line in dot.body)


@functools.cache
def densenet_size(_) -> tuple:
    graph = hl.build_graph(torchvision.models.densenet121().eval(), picture(224), transforms=None)
    return 121, len(graph.nodes), len(graph.edges)


def share_of_second_convolution(_) -> float:
    multiply_adds = [16 * 28**2 * 9, 32 * 14**2 * 16 * 9, 1568 * 128, 128 * 64, 64 * 10]
    return multiply_adds[1] / sum(multiply_adds)


def blue_boxes(_) -> int:
    return len(list(ConvNet().parameters()))


def statements_of_draw_confusion(chapter) -> int:
    start = "class ConfusionCanvas"
    (cell,) = [s for s in chapter if start in "\n".join(s.code)]
    source = start + "\n".join(cell.code).split(start)[1].split("torch.manual_seed")[0]
    (method,) = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.FunctionDef)]
    return sum(isinstance(node, ast.stmt) for node in ast.walk(method)) - 1


def ink_of_one_in_zeros(_) -> float:
    images, labels = load_dataset().train.tensors
    ink = images.mean((1, 2, 3))
    return (ink[labels == 1].mean() / ink[labels == 0].mean()).item()


def recipe() -> Recipe:
    return Recipe()


def named(start: str) -> Illness:
    (found,) = (illness for illness in ILLNESSES if illness.name.startswith(start))
    return found


def number_in(name: str, pattern: str) -> int:
    """A number in the lines that make a patient ill."""
    return int(re.findall(pattern, inspect.getsource(named(name).change))[-1])


def layers_between_sigmoids() -> int:
    model = ill_recipe(named("vanishing")).model
    return sum(isinstance(module, nn.Conv2d | nn.Linear) for module in model.modules())


def missing_class(_) -> tuple:
    labels = ill_recipe(named("one class")).labels
    rarest = labels.bincount(minlength=10).argmin().item()
    return rarest, rarest


CLAIMS = [
    # ---- chapter 1 ----
    (1, "had no release since #, and", 2020),  # the date of hiddenlayer 0.3 on PyPI
    (1, "Count the blue boxes: # parameters and one image", blue_boxes),
    (1, "a ResNet-# has # boxes here", resnet50_boxes),
    (1, "A ResNet-# has # operations", lambda c: (18, operations_of_resnet(c))),
    (1, "a DenseNet-#, # operations with # arrows", lambda _: densenet_size(None)),
    (1, "`torchvision.models.densenet121()` has # operations", lambda _: densenet_size(None)[1]),
    (1, "because # of it can", 1 / 2),  # one branch of two
    (1, "three # of the arithmetic", lambda _: share_of_second_convolution(_) / 3),
    (1, "sees #x#, a # of the image's width", lambda _: (10, 10, 10 / IMAGE_SHAPE[2])),
    (1, "the network has more than some # operations", 50),  # advice
    (1, "comes down to # boxes, or sixteen", 5),  # the outputs above it
    (1, "only on the places 0 to #,", 63),
    (1, "and from there to the #.", 1 / 3),  # an ordinal
    (1, "can be a # blocks deep", 100),  # as GPT-3 nearly is
    (1, "a unit sees #x# pixels. Build", (10, 10)),  # tests/helpers/checks/test_chapter_1.py
    (1, "sees #x# or more", (14, 14)),  # the exercise's own
    (1, "put out #x#x# as before", (32, 7, 7)),  # the same
    # ---- chapter 2 ----
    (2, "# short runs compared", lambda c: code(c).count("10 * learning_rate") + 1),
    (2, "all # digits", sum(MNIST)),
    (2, "has # dimensions: image", 1 + len(IMAGE_SHAPE)),
    (2, "the loop writes # things", logging_calls),
    (2, "the page lists # more runs", 2),  # that follow
    (2, "# details matter more", 4),  # the sentences that follow
    (2, "turn in # dimensions", 3),  # TensorBoard's projector
    (2, "In # weeks you", 3),  # some time
    (2, "needs # more calls", logging_calls),
    (2, "ask a network for # %", 100),  # all of them
    (
        2,
        "a sample of # tells a share of # to within # (# standard errors)",
        lambda _: (2000, 0.9, 2 * math.sqrt(0.9 * 0.1 / 2000), 2),
    ),
    # A step goes forward and, at twice the cost, backward.
    (2, "all # every # steps would be a # of", (MNIST[1], 100, MNIST[1] / (100 * 128 * 3))),
    (2, "there every # is counted", 2000 / MNIST[1]),
    (2, "its easier #", 1 / 2),  # as the dataset's own page says
    (2, "compare a # runs", 100),  # many
    (2, "steeply for the first # and", 1 / 3),  # by eye
    (2, "`fc.0.weight`: # numbers", lambda _: ConvNet().fc[0].weight.numel()),
    (2, "±1/√# ≈ ±#.", (1568, 1 / math.sqrt(1568))),  # PyTorch's bound for 1568 inputs
    (2, "sense: #, # and # share a border, as do #, # and #.", (4, 7, 9, 3, 5, 8)),  # by eye
    (2, "calling an image a #, how many of the #s", (7, 7)),  # an example
    (2, "those I call a # are", 7),
    (2, "the other #.", lambda _: 10 - 2),  # classes without the best and the worst
    (
        2,
        "Train for # steps with a learning rate of",
        lambda c: number_in_code(c, r"rate, steps=(\d+)"),
    ),
    (2, "Train for # steps with # seeds", lambda c: (number_in_code(c, r"rate, steps=(\d+)"), 3)),
    (2, "The # losses above", 2),
    (2, "compare the # lines of print", 2),
    (2, "Which of a # runs was it", 100),  # many
    (2, "first reached # tenths of", 9),  # the exercise's own
    # ---- chapter 3 ----
    (3, "is hiddenlayer #, brought", lambda _: float(version("hiddenlayer"))),
    (3, "last release is from #, and", 2020),
    (3, "all # digits", sum(MNIST)),
    (3, "# details matter more", lambda c: points(c, "The training loop, and its picture")),
    (3, "between # or # settings", (2, 3)),  # advice
    (3, "nearly a # of it here", 1 / 3),  # tests/benchmarks/README.md
    (3, "About a # of the weights", 1 / 4),  # test_03: the_share_of_weights_that_never_moved
    (
        3,
        "each of the last # entries",
        lambda _: inspect.signature(hl.Canvas.draw_hist).parameters["limit"].default,
    ),
    (3, "between # hard edges, ±#/√# ≈ ±#,", (2, 1, 128, 1 / math.sqrt(128))),
    (3, "# objects, # jobs", (2, 2)),  # the two that follow
    (3, "nor in the # curves", 2),
    (3, "# learning rates on one canvas", 2),
    (3, "So # networks can race", 2),
    (3, "more than # of the gradients", 1 / 2),  # test_03: more_than_half_of_the_gradients
    (3, "a new network takes # steps", lambda c: number_in_code(c, r"zip\(range\(1, (\d+)\)") - 1),
    (3, "its first # steps", lambda c: number_in_code(c, r"zip\(range\(1, (\d+)\)") - 1),
    (3, "A # lines give you", statements_of_draw_confusion),
    # ---- chapter 4 ----
    (4, "the second # of ours", 1 / 2),  # of each title
    (4, "up to some # # items", (10, 1000)),  # advice
    (4, "the # axis", 1 / 3),  # an ordinal
    (4, "The # period", 1 / 4),  # between sine and cosine
    (4, "each other (#)", lambda _: np.corrcoef(load_iris().data.T)[2, 3]),
    (4, "# words carry", lambda c: section(c, "A server of your own").text.count("**") / 2 - 3),
    (4, "# things to know", lambda c: points(c, "A server of your own")),
    (
        4,
        "# flowers of # species, each measured # times",
        lambda _: (len(load_iris().data), len(load_iris().target_names), load_iris().data.shape[1]),
    ),
    (4, "a label from # to K", 1),  # as Visdom counts
    (4, "Scatter, # dimensions # columns make it #-dimensional", (3, 3, 3)),
    (4, "# activation functions", lambda c: len(re.findall(r"torch\.(sig|tan|rel)", code(c)))),
    (4, "a float tensor in [#, #], or bytes from # to #", (0, 1, 0, 255)),
    (4, "the same # or # digits", (2, 3)),  # by eye
    (4, "# pixels are a stamp", IMAGE_SHAPE[1]),
    (4, "about # ms", 10),  # measured
    (4, "down to # numbers", lambda _: ConvNet().out.in_features),
    (4, "# colours are too many", lambda _: len(load_dataset().classes)),
    (4, "a shadow of # dimensions", lambda _: ConvNet().out.in_features),
    (4, "A # needs # the ink of a #.", lambda _: (1, ink_of_one_in_zeros(_), 0)),
    # ---- chapter 5 ----
    (5, "the charts of # patients", len(ILLNESSES)),
    (
        5,
        "this course, # training digits and # test digits, batches of #, five epochs",
        lambda _: (len(recipe().images), len(recipe().test_images), recipe().batch_size),
    ),
    (5, "trained, # things were written", 8),  # the eight pictures of a chart
    (5, "with # classes, ln # = #.", (10, 10, math.log(10))),
    (5, "perfect after a # of the time", 1 / 4),  # by eye, in the picture above it
    (5, "has learned # images by heart", lambda _: number_in("overfitting", r"images\[:(\d+)\]")),
    (5, "factor of # or # of each other", (10, 20)),  # by eye
    (5, "there are # layers with sigmoids", lambda _: layers_between_sigmoids()),
    (5, "# lesson: silent units", 1 / 3),  # an ordinal
    (5, "A # of silent units in one layer", 1 / 5),  # advice
    (5, "fell silent within # steps", 20),  # by eye
    (5, "# lesson: what goes in", 1 / 5),  # an ordinal
    (5, "find a # among the training images; and in the row of the # there", missing_class),
    (5, "#-two patients, in no order", lambda _: len(ILLNESSES) - 2),
    (5, "Multiply it by # until the loss falls within", 10),  # advice
    (5, "(pixels from # to #)", (0, 255)),  # of a byte
    (5, "Divide the images by #, training", 255),
    (5, "Divide it by # or #; or let it rise over the first # steps", (3, 10, 100)),  # advice
    (
        5,
        "Divide it by a #: # is common with this optimizer, # is not",
        lambda _: (1000, recipe().weight_decay, ill_recipe(named("weight decay")).weight_decay),
    ),
    (5, "Divide it by # until the loss falls from the first step", 10),  # advice
    (5, "a floor at #, however", math.log(math.e + 9) - 1),
    (5, "ln(e + #) − # = #.", (9, 1, math.log(math.e + 9) - 1)),  # noqa: RUF001
    (5, "shows in the first # steps", 100),  # by eye
    (5, "some # numbers and those into yes or no: # or so *signs*", (40, 20)),  # roughly
    (5, "at least # % right", 95),  # tests/helpers/clinic/test_signs.py
    (5, "tell # failures apart", lambda _: len(NAMES) - 1),
    (5, "(`every=1`), for # steps of", 20),  # the exercise's own
    (5, "He and others, #:", 2015),
    (5, "Pascanu and others, #:", 2012),
    (5, "Northcutt and others, #:", 2021),
    # ---- chapter 6 ----
    (6, "sees the # training digits once", 8000),
    (6, "a step of # images is # times the work of a step of #.", (128, 4, 32)),
    (6, "one digit in #.", 10),
    (6, "the best of #, and the best of # is partly the luckiest of #.", (24, 24, 24)),
    (6, "at # images A is ahead", 3000),  # an example
    (6, "in # cases out of", 4),  # the power in the code, 0.8
    (6, "And # comparisons at", 7),
    (6, "with # times as many steps", 128 / 32),
    (6, "larger sweep. # runs of some seconds are a minute or # of", (24, 2)),
    (6, "the full MNIST is # or more, and on # cores it", (10, 20)),  # ten times the images
    (6, "would show a # row", 1 / 3),  # an ordinal
    (6, "In a sweep of a # runs some fail", 100),  # an example
    (6, "tcp://#.0.0.7:# has torch #.0, here it is #.1", (10.0, 41023, 2.9, 2.14)),  # an example
    (6, "after a # of the images", 1 / 4),  # the exercise's own
    (6, "halves of the same # seeds", 10),  # the paper's figure 5
    (6, "own paper of #, on", 1908),
]
