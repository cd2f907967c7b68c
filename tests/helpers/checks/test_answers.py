"""How a check answers, whatever it is given."""

import importlib

import pytest

from helpers.checks.answers import NotYet, called, check
from tests.conftest import CHAPTERS
from tests.helpers.checks.case import said


@check("a number")
def check_7_3(answer, least=0):
    """A check like any other."""
    if int(answer) < least:
        raise NotYet("Larger.")
    return "Good."


def test_three_dots_are_not_tried_yet_and_nothing_else_is():
    assert "not tried yet" in said(check_7_3, ...)
    for answer in (None, 0, "", [], "..."):
        assert "not tried yet" not in said(check_7_3, answer)


def test_right_and_wrong_are_told_apart_with_what_else_the_chapter_hands_over():
    assert said(check_7_3, 4) == "Exercise 3: right. Good."
    assert said(check_7_3, 4, 5) == "Exercise 3: not yet. Larger."


@pytest.mark.parametrize("answer", [None, "four", [1, 2], object(), print])
def test_an_answer_of_another_kind_is_told_what_is_wanted(answer):
    assert said(check_7_3, answer).startswith("Exercise 3: not yet. The answer is to be a number;")


def test_a_long_answer_is_cut_short():
    assert len(said(check_7_3, [0.5] * 10_000)) < 200


def test_a_readers_function_may_raise_anything():
    with pytest.raises(NotYet, match="ZeroDivisionError: division by zero"):
        called(lambda x: x / 0, 1)
    with pytest.raises(TypeError):
        called(4, 1)
    assert called(abs, -4) == 4


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_every_check_has_a_case(path):
    number = int(path.stem[:2])
    checks = vars(importlib.import_module(f"helpers.checks.chapter_{number}"))
    cases = importlib.import_module(f"tests.helpers.checks.test_chapter_{number}").CASES
    there = {name for name in checks if name.startswith("check_")}
    assert (
        there
        == {str(case) for case in cases}
        == {f"check_{number}_{k}" for k in range(1, len(cases) + 1)}
    )
    assert len(cases) >= 4
