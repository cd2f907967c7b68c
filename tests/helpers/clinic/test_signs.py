"""What is measured in a chart, and which signs it shows."""

import math

import numpy as np
import pytest

from helpers.clinic import ILLNESSES, patient
from helpers.clinic.signs import SIGNS, measure, signs_of


def test_every_sign_is_of_use():
    used = {sign for illness in ILLNESSES for sign in (*illness.signs, *illness.without)}
    assert used == SIGNS.keys()


def test_the_curves_are_measured_at_both_ends():
    record = patient("L")
    measures = measure(record)
    losses = record.scalars["loss/train"][1]
    assert measures["first_loss"] == losses[0]
    assert measures["last_loss"] == pytest.approx(losses[-3:].mean())
    assert measures["test_accuracy"] == pytest.approx(record.confusion.trace() / 500)
    assert measures["recount"] == 0
    assert measures["bad_step"] == math.inf


def test_the_first_step_that_is_no_number_is_found():
    steps, losses = patient("A").scalars["loss/train"]
    assert measure(patient("A"))["bad_step"] == steps[np.argmax(~np.isfinite(losses))]


def test_layers_without_gradient_are_named():
    assert measure(patient("J"))["unreached_layers"] == "conv1.0, conv2.0"
    assert measure(patient("L"))["unreached"] == 0


def test_the_worst_class_is_found_in_the_confusion_matrix():
    measures = measure(patient("O"))
    row = patient("O").confusion[4]
    assert measures["worst_class"] == "4"
    assert measures["worst_recall"] == pytest.approx(row[4] / row.sum())


def test_weights_that_stand_still_are_told_from_weights_that_creep():
    still, creeping, frozen = (measure(patient(letter)) for letter in "NBI")
    assert still["moved"] == 0
    assert 0 < creeping["moved"] < 0.2
    assert frozen["moved_early"] > 0 == frozen["moved_late"]


def test_what_cannot_be_measured_is_no_sign():
    nothing = dict.fromkeys(measure(patient("L")), math.nan)
    assert signs_of(nothing) == set()


@pytest.mark.parametrize("letter", ["A", "L", "Q"])
@pytest.mark.parametrize("name", SIGNS)
def test_every_sentence_can_be_said_of_every_patient(letter, name):
    measures = measure(patient(letter))
    for sentence in (SIGNS[name].yes, SIGNS[name].no):
        assert sentence.format(**measures).endswith(".")
