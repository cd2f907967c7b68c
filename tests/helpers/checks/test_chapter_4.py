"""The checks of chapter 4, with a server that is a dictionary."""

import json

import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from helpers.checks.chapter_4 import check_4_1, check_4_2, check_4_3, check_4_4, check_4_5
from helpers.visdom import ServerError
from tests.helpers.checks.case import Case, said


class Windows:
    """What a client's get_window_data answers: {environment: {name: window}}."""

    def __init__(self, **environments):
        self.environments = environments

    def get_window_data(self, win=None, env="main"):
        windows = self.environments.get(env, {})
        if win not in {None, *windows}:
            raise ServerError("Visdom refuses 'win_data'")
        return json.dumps(windows if win is None else windows[win])


def heatmap(counts, labels=True):
    names = [str(number) for number in range(len(counts))] if labels else None
    trace = {"type": "heatmap", "z": torch.as_tensor(counts).tolist(), "x": names, "y": names}
    return {"type": "plot", "content": {"data": [trace]}}


GALLERY = {"histogram": {"y": [1] * 100, "title": "a"}, "boxes": {"y": [0.125] * 4000}}
SIZES = {name: len(json.dumps(window)) / 1000 for name, window in GALLERY.items()}

TRUTH = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 2])
ANSWERS = torch.tensor([0, 1, 1, 1, 1, 0, 2, 2, 1])
COUNTS = [[1, 2, 0], [1, 2, 0], [0, 1, 2]]
MISTAKES = torch.tensor([[0, 2, 0], [1, 0, 0], [0, 1, 0]])
DRAWN = Windows(
    gallery=GALLERY,
    exercises={
        "good": heatmap(MISTAKES),
        "holes": heatmap(MISTAKES.double().fill_diagonal_(torch.nan)),
        "turned": heatmap(MISTAKES.T),
        "whole": heatmap(COUNTS),
        "shares": heatmap(MISTAKES / 9),
        "bare": heatmap(MISTAKES, labels=False),
        "other": heatmap([[1, 1, 1], [1, 1, 1], [0, 1, 7]]),
        "bars": {"type": "plot", "content": {"data": [{"type": "bar", "z": []}]}},
        "picture": {"type": "image", "content": {"src": ""}},
    },
)

# The logits of five images: the answers are 0 1 1 0 1, and the second is the surest mistake.
LOGITS = torch.tensor([[9.0, 0], [0, 3], [0, 2], [1, 0], [0, 0.5]])
TEST = TensorDataset(LOGITS, torch.tensor([0, 0, 0, 0, 0]))

stop = {"asked": False}


def good(event):
    if event["event_type"] == "PropertyUpdate" and event["propertyId"] == 1:
        stop["asked"] = True


def of_its_own(event):
    stop = {"asked": True}
    return stop


def any_field(event):
    if event["event_type"] == "PropertyUpdate":
        stop["asked"] = True


def from_one(event):
    if event["event_type"] == "PropertyUpdate" and event["propertyId"] == 2:
        stop["asked"] = True


def anything_but_the_number(event):
    if event.get("propertyId") != 0:
        stop["asked"] = True


CASES = [
    Case(
        check_4_1,
        SIZES,
        {
            "isn't in gallery": {"scatter-2d": 3.0},
            "more windows": {"boxes": SIZES["boxes"]},
            "These are bytes": {name: 1000 * size for name, size in SIZES.items()},
            "counts its keys": {name: len(window) for name, window in GALLERY.items()},
            "nothing else": {name: 2.5 * size for name, size in SIZES.items()},
        },
        (DRAWN,),
        also_right=[
            {name: size / 1.024 for name, size in SIZES.items()},
            {name: round(size) for name, size in SIZES.items()},
        ],
    ),
    Case(
        check_4_2,
        ["kept", "main"],
        {
            "files in the folder": ["kept.json", "main.json"],
            "still there": ["kept", "lost", "main"],
            "kept is missing": ["main"],
            "that you never made": ["kept"],
        },
        also_right=[("main", "kept")],
    ),
    Case(
        check_4_3,
        "good",
        {
            "has no window": "nowhere",
            "type bar": "bars",
            "type image": "picture",
            "diagonal is still there": "whole",
            "wrong way round": "turned",
            "These are shares": "shares",
            "no others": "other",
            "Which row is which digit": "bare",
        },
        (DRAWN, TRUTH, ANSWERS),
        also_right=["holes"],
    ),
    Case(
        check_4_4,
        1,
        {
            "its place among the wrong answers": 0,
            "answered right": 3,
            "least sure of": 4,
            "some other wrong answer": 2,
            "none of their places": 2000,
        },
        (nn.Identity(), TEST),
        also_right=[torch.tensor(1)],
    ),
    Case(
        check_4_5,
        good,
        {
            "the function's own": of_its_own,
            "typed a number": any_field,
            "pressed a key": anything_but_the_number,
            "has the number 0": from_one,
            "KeyError": lambda event: event["propertyId"] + event["nothing"],
        },
        (stop,),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_right_untouched_and_mistaken(case):
    case.holds()


def test_a_check_leaves_the_readers_flag_as_it_was():
    said(check_4_5, good, stop)
    said(check_4_5, any_field, stop)
    assert stop == {"asked": False}


def test_a_network_that_diverged_is_no_error():
    assert "Exercise 4: " in said(check_4_4, 1, nn.Threshold(torch.inf, torch.nan), TEST)
