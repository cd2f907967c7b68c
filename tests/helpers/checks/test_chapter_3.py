"""The checks of chapter 3."""

import itertools

import numpy as np
import pytest
import torch
from torch.utils.data import TensorDataset

from helpers import hiddenlayer as hl
from helpers.checks.chapter_3 import check_3_1, check_3_2, check_3_3, check_3_4, reached
from helpers.model import ConvNet
from tests.helpers.checks.case import Case

RANDOM = np.random.default_rng(0)
FIRST = RANDOM.normal(size=(4, 6)).round(2)
FIRST[3] *= 20  # large from the start
CHANGE = np.zeros((4, 6))
CHANGE[1] = 0.5  # the most, as a row
CHANGE[:, 5] += 0.4  # and as a column
CHANGE[2, 4] = 1.0  # and at one place
HISTORY = hl.History()
for step, share in enumerate((0, 0.5, 0.8, 1)):
    HISTORY.log(step, hidden_weight=FIRST + share * CHANGE)
ENTRIES = HISTORY["hidden_weight"].data.astype(float)


def rms(array):
    return np.sqrt((array.astype(float) ** 2).mean())


WAY = [rms(entry - ENTRIES[0]) for entry in ENTRIES]

torch.manual_seed(0)
MODEL = ConvNet()
with torch.no_grad():
    MODEL.fc[0].bias[:40] = -10
    MODEL.fc[2].bias[:9] = -10
IMAGES = torch.rand(300, 1, 28, 28)
TRUTH = [int((layer <= 0).sum()) for layer in reached(MODEL, IMAGES)]

COUNTS = np.array([[5, 3, 0], [0, 8, 2], [1, 0, 6]])
ANSWERS = hl.History()
ANSWERS.log(1, test_images=COUNTS)
ANSWERS = ANSWERS["test_images"]
BARS = ("answers", COUNTS.sum(0)), ("true images", COUNTS.sum(1))


class Drawing(hl.Canvas):
    """Draws rows of bars, with whatever names they are given."""

    def draw_answers(self, bars, legend=True, label="class", apart=0.4):
        for place, (name, heights) in zip((0, apart), bars, strict=False):
            self.ax.bar(np.arange(3) + place, heights, width=0.4, label=name)
        self.ax.set(xlabel=label, ylabel="test images")
        if legend:
            self.ax.legend()


def drawn(*arguments, **options):
    canvas = Drawing()
    with canvas:
        canvas.draw_answers(*arguments, **options)
    return canvas


CASES = [
    Case(
        check_3_1,
        WAY,
        {
            "One is missing": WAY[1:],
            "not from the first": [
                0,
                *(rms(b - a) for a, b in itertools.pairwise(ENTRIES)),
            ],
            "before the root": [np.linalg.norm(entry - ENTRIES[0]) for entry in ENTRIES],
            "not of squares": [abs(entry - ENTRIES[0]).mean() for entry in ENTRIES],
            "weights themselves": [rms(entry) for entry in ENTRIES],
            "4 entries": [1.0],
        },
        (HISTORY,),
        also_right=[np.array(WAY)],
    ),
    Case(
        check_3_2,
        tuple(TRUTH),
        {
            "fire for some image": (128 - TRUTH[0], 64 - TRUTH[1]),
            "other way round": TRUTH[::-1],
            "ReLUs behind": (0, 0),
            "one batch": (TRUTH[0] + 1, TRUTH[1]),
            "over all batches": (TRUTH[0] - 20, TRUTH[1]),
        },
        (MODEL, TensorDataset(IMAGES, torch.zeros(300))),
        also_right=[torch.tensor(TRUTH)],
    ),
    Case(
        check_3_3,
        drawn(BARS),
        {
            "derive a class": hl.Canvas(),
            "Nothing has been drawn": Drawing(),
            "there are 3": drawn(BARS[:1]),
            "answered right": drawn((("answers", COUNTS.diagonal()), BARS[1])),
            "These are shares": drawn([(name, rows / 25) for name, rows in BARS]),
            "along the other": drawn((("answers", [9, 9, 9]), BARS[1])),
            "hides the other": drawn(BARS, apart=0),
            "Which is which": drawn(BARS, legend=False),
            "wrong bars": drawn((("answers", BARS[1][1]), ("true images", BARS[0][1]))),
            "Name the axes": drawn(BARS, label=""),
        },
        (ANSWERS,),
        also_right=[drawn(BARS[::-1])],
    ),
    Case(
        check_3_4,
        1,
        {
            "That is a column": 5,
            "from the start": 3,
            "whole matrix": 16,
            "counted from 0": 64,
            "single weight": 2,
            "have changed more": 0,
        },
        (HISTORY,),
        also_right=[np.int64(1)],
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_right_untouched_and_mistaken(case):
    case.holds()


def test_what_a_neuron_reaches_is_what_a_hook_sees():
    seen = {}
    for number in (1, 3):
        MODEL.fc[number].register_forward_hook(
            lambda _, inputs, output, number=number: seen.update({number: output.detach()})
        )
    MODEL(IMAGES)
    silent = [int((seen[number].max(0).values == 0).sum()) for number in (1, 3)]
    assert silent == TRUTH
    assert min(TRUTH) >= 9
