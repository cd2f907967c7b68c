"""The checks of chapter 5."""

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from helpers.checks.chapter_5 import (
    check_5_1,
    check_5_2,
    check_5_3,
    check_5_4,
    check_5_5,
    check_5_6,
    ill,
)
from helpers.clinic import CLINIC_DIR, LETTERS, Recipe, patient
from helpers.clinic.signs import SIGNS
from helpers.model import ConvNet
from tests.helpers.checks.case import Case

SEED = 3


def chart(silent, every=1):
    """A chart of a training whose one layer has these shares of silent units."""
    steps = torch.arange(0, len(silent) * every, every).double().numpy()
    values = torch.tensor(silent).double().numpy()
    return patient("H")._replace(
        scalars={"loss/test": (steps, values), "silent/r": (steps, values)}
    )


DYING = chart([0.0, 0.2, 0.5, 0.95, 1.0])

WRONG = (ill("R", SEED).labels != Recipe(SEED).labels).nonzero()[:, 0].tolist()
RIGHT = (ill("R", SEED).labels == Recipe(SEED).labels).nonzero()[:, 0].tolist()

MIXED = patient("B")._replace(histograms=patient("L").histograms)
"""Slow, although the weights moved as they should."""


def lift(recipe):
    del recipe.model.conv2[-1]


def faster(recipe):
    recipe.learning_rate *= 10


def another(recipe):
    recipe.model = ConvNet()


def without_the_stage(recipe):
    recipe.model.conv2 = nn.Identity()


def twice(recipe):
    lift(recipe)
    recipe.learning_rate = 0.01


CASES = [
    Case(
        check_5_1,
        "AG",
        {
            "There is another": "A",
            "rose later": "AGS",
            "is how weights happen": ["A", "G", "C"],
            "no patient Z": "AGZ",
        },
        also_right=[["g", "a"], "A and G".replace("and", "")],
    ),
    Case(
        check_5_2,
        (DYING, 3),
        {
            "stays alive": (chart([0.0, 0.1, 0.1]), 1),
            "every=1": (chart([0.0, 0.2, 0.95], every=10), 20),
            "still has more": (DYING, 2),
            "Was it the first time": (DYING, 4),
        },
    ),
    Case(
        check_5_3,
        WRONG[:13] + RIGHT[:3],
        {
            "Which end": RIGHT[:16],
            "about as many": WRONG[:6] + RIGHT[:10],
            "8 different places": WRONG[:8],
        },
        (SEED,),
        also_right=[torch.tensor(WRONG[:16])],
    ),
    Case(
        check_5_4,
        "guessing",
        {
            "what a patient has": "overfitting",
            "No sign has this name": "dizzy",
            "the healthy show": "learns",
            "worth the most": "one class lost",
            "another sign is commoner": "falls silent",
        },
    ),
    Case(
        check_5_5,
        lift,
        {
            "no gradient reaches conv1": faster,
            "another network": another,
            "doesn't run": without_the_stage,
            "learning_rate changed too": twice,
        },
        (0,),
    ),
    Case(
        check_5_6,
        (patient("L"), patient("S")),
        {
            "one chart, twice": (patient("L"), patient("L")),
            "doesn't find the first one": (patient("S"), patient("L")),
            "finds the second one healthy": (patient("L"), patient("E")),
            "no row of the table": (patient("L"), MIXED),
        },
        also_right=[(patient("E"), patient("Q"))],
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_right_untouched_and_mistaken(case):
    case.holds()


def test_first_losses_as_the_event_files_have_them():
    high = ""
    for letter in LETTERS:
        log = EventAccumulator(str(CLINIC_DIR / letter), size_guidance={"scalars": 0}).Reload()
        high += letter if not log.Scalars("loss/train")[0].value < 10 else ""
    assert high == "AG"


def test_the_sign_that_is_asked_for_says_what_half_of_them_have():
    guess = [SIGNS["guessing"].shows({"train_accuracy": share}) for share in (0.1, 0.5)]
    assert guess == [True, False]
    accuracies = [patient(letter).scalars["accuracy/train"][1][-3:].mean() for letter in LETTERS]
    assert sum(accuracy < 0.2 for accuracy in accuracies) == 10
