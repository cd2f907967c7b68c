"""The pictures can tell: the decision table names the illness; and each guess gets an answer."""

import itertools
from collections import Counter

import pytest

from helpers.clinic import ILLNESSES, LETTERS, NAMES, diagnose, patient, suspects
from helpers.clinic.signs import measure, signs_of
from tests.helpers.clinic import measured

BY_LETTER = {illness.patient: illness for illness in ILLNESSES}


@pytest.fixture(scope="module")
def ill():
    """The measured quantities of every patient with each of five seeds."""
    return [row for row in measured.read() if row["state"] == "ill"]


def test_every_patient_was_measured_with_five_seeds(ill):
    assert {row["patient"] for row in ill} == set(LETTERS)
    assert set(Counter(row["patient"] for row in ill).values()) == {5}
    assert len({(row["patient"], row["seed"]) for row in ill}) == len(ill)


def test_the_decision_table_names_at_least_95_percent(ill):
    wrong = [
        (row["patient"], row["seed"], suspects(row))
        for row in ill
        if suspects(row) != [BY_LETTER[row["patient"]].name]
    ]
    assert len(wrong) <= 0.05 * len(ill), wrong


def test_a_patient_shows_its_symptoms_with_each_seed(ill):
    for row in ill:
        missing = set(BY_LETTER[row["patient"]].signs) - signs_of(row)
        assert not missing, (row["patient"], row["seed"])


def test_no_other_patient_shows_that_set_of_symptoms(ill):
    strangers = [
        (illness.name, row["patient"], row["seed"])
        for illness, row in itertools.product(ILLNESSES, ill)
        if BY_LETTER[row["patient"]].name != illness.name and illness.name in suspects(row)
    ]
    assert strangers == []


@pytest.mark.parametrize("letter", LETTERS)
def test_the_waiting_room(letter):
    """The recorded chart decides; the right name is confirmed, and every other is answered."""
    truth = BY_LETTER[letter]
    measures = measure(patient(letter))
    assert suspects(measures) == [truth.name]
    for name in NAMES:
        verdict = diagnose(letter, name)
        assert verdict.right == (name == truth.name)
        text = repr(verdict)
        assert "{" not in text
        assert text.startswith(f"Patient {letter}, {name}: {'yes' if verdict.right else 'no'}.")
        if verdict.right:
            assert truth.cure in text
            assert verdict.speaks_for
            assert not verdict.speaks_against
        else:
            assert verdict.speaks_against or verdict.unexplained, name
            assert truth.name not in verdict.heading
        if name in truth.confused_with:
            assert verdict.advice


def test_the_answer_is_about_this_patients_numbers():
    first_loss = patient("G").scalars["loss/train"][1][0]
    assert f"{first_loss:,.0f}" in diagnose("G", "learning rate far too high").advice
    text = repr(diagnose("J", "vanishing gradients"))
    assert "conv1.0, conv2.0" in text


def test_a_guess_may_be_left_open():
    verdict = diagnose("B", "...")
    assert not verdict.right
    assert "no diagnosis yet" in repr(verdict)


def test_upper_and_lower_case_are_one():
    assert diagnose("M", " Dead relus ").right


def test_an_unknown_illness_is_answered_with_the_nearest():
    with pytest.raises(ValueError, match=r"Did you mean 'overfitting'\?"):
        diagnose("B", "overfit")
    diagnose("B", "overfitting")  # the remedy
    with pytest.raises(ValueError, match="There are: branch cut by detach, "):
        diagnose("B", "xyz")


@pytest.mark.parametrize("letter", ["Z", "a", ""])
def test_an_unknown_patient_is_answered_with_those_there_are(letter):
    with pytest.raises(ValueError, match="they are A, B, C"):
        patient(letter)
    with pytest.raises(ValueError, match="they are A, B, C"):
        diagnose(letter, "healthy")
