"""The checks of chapter 1."""

import pytest
import torchvision
from torch import nn

from helpers import hiddenlayer as hl
from helpers.checks.chapter_1 import (
    IMAGE,
    Averaged,
    check_1_1,
    check_1_2,
    check_1_3,
    check_1_4,
    check_1_5,
    cost,
    field,
    operations,
)
from helpers.model import ConvNet
from tests.helpers.checks.case import Case


def stages(*convolution, stride=2, **options):
    model = ConvNet()
    if convolution:
        model.conv2[0] = nn.Conv2d(16, 32, *convolution, **options)
    model.conv2[2] = nn.MaxPool2d(2, stride)
    return nn.Sequential(model.conv1, model.conv2)


ROWS = [56, 28, 28, 14, 14, 7, 7]
CHANNELS = [256, 128, 512, 256, 1024, 512, 1024]
GONE = {"ConvolutionBackward0": 1, "ReluBackward0": 1, "AvgPool2DBackward0": 1}
CASES = [
    Case(
        check_1_1,
        "Flatten",
        {
            "a module's name": "Linear out",
            "with depth=1": "ReLU",
            "how the code calls it": "x.flatten(1)",
            "No box has this title": "Dropout",
        },
        also_right=["flatten "],
    ),
    Case(
        check_1_2,
        GONE,
        {
            "nothing was frozen": {},
            "gone to the last one": {"AvgPool2DBackward0": 1},
            "lead to a blue box": {"ConvolutionBackward0": 1},
            "what is still there": {"ConvolutionBackward0": 1, "ReluBackward0": 3},
            "in both pictures": GONE | {"MaxPool2DWithIndicesBackward0": 1},
        },
        also_right=[
            GONE | {"AccumulateGrad": 2, "TBackward0": 0},
            {name.removesuffix("Backward0"): number for name, number in GONE.items()},
        ],
    ),
    Case(
        check_1_3,
        CHANNELS,
        {
            "These are rows": ROWS,
            "every second one": CHANNELS[::2],
            "too many": [64, 64, 64, 64, *CHANNELS, 1024],
            "the depth that shows": [1024],
        },
        also_right=[tuple(CHANNELS)],
    ),
    Case(
        check_1_4,
        (17930, 1028992),
        {
            "come first": (1028992, 17930),
            "as it was": (214538, 1225600),
            "what is saved": (214538 - 17930, 1225600 - 1028992),
            "counts a multiply-add as two": (17930, 2057984),
            "more parameters than its weights": (17680, 1028992),
            "The parameters are right": (17930, 1225600),
            "Write down": (13834, 1024896),
        },
    ),
    Case(
        check_1_5,
        stages(3, padding=2, dilation=2),
        {
            "10 pixels in a row": stages(),
            "12,992 parameters": stages(5, padding=2),
            "needs more padding": stages(3, padding=1, dilation=2),
            "no other stride": stages(3, padding=2, dilation=2, stride=4),
        },
        also_right=[stages(3, padding=3, dilation=3)],
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_right_untouched_and_mistaken(case):
    case.holds()


# ---- that what the checks know is so, by yet another way ----


def test_the_box_without_a_name_is_where_the_shape_changes_between_two_modules():
    nodes = list(hl.build_graph(ConvNet(), IMAGE, depth=1).nodes.values())
    assert [node.title for node in nodes if not node.caption] == ["Flatten"]


def test_the_channels_are_those_of_torchvisions_densenet():
    model, found = torchvision.models.densenet121().features, []
    for name, part in model.named_children():
        if name.startswith(("dense", "trans")):
            part.register_forward_hook(lambda _, inputs, output: found.append(output.shape))
    model(IMAGE.new_zeros(1, 3, 224, 224))
    assert [shape[1] for shape in found] == CHANNELS
    assert [shape[2] for shape in found] == ROWS


def test_a_frozen_stage_takes_its_operations_along():
    before = operations(ConvNet())
    assert before["AccumulateGrad"] == len(list(ConvNet().parameters()))
    assert before["ConvolutionBackward0"] == 2


def test_what_averaging_costs_by_hand():
    convolutions = 16 * 28**2 * 9, 32 * 14**2 * 16 * 9
    assert cost(Averaged())[1] == sum(convolutions) + 32 * 128 + 128 * 64 + 64 * 10
    assert cost(ConvNet()) == (214_538, sum(convolutions) + 1568 * 128 + 128 * 64 + 64 * 10)


def test_the_field_is_that_of_the_two_rules():
    assert field(ConvNet().conv1, IMAGE) == 3 + 1
    assert field(stages(), IMAGE) == 3 + 1 + 2 * 2 + 2
    assert field(stages(3, padding=2, dilation=2), IMAGE) == 3 + 1 + 4 * 2 + 2
