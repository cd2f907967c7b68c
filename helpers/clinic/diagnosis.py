"""The decision table, and what speaks for and against a reader's diagnosis."""

import difflib
import functools
import inspect
import textwrap
from typing import NamedTuple

from helpers.clinic.chart import Record, read_chart
from helpers.clinic.illnesses import ILLNESSES, Illness
from helpers.clinic.signs import SIGNS, Measures, measure, signs_of
from helpers.data import DATA_DIR

CLINIC_DIR = DATA_DIR / "clinic"
LETTERS = [illness.patient for illness in ILLNESSES]
NAMES = [*sorted({illness.name for illness in ILLNESSES} - {"healthy"}), "healthy"]
"""What ``diagnose`` understands."""

OPEN = ("", "...", "?")
"""Guesses that aren't made yet."""

WELL = {"learns", "perfect in training"}
"""Signs that need no illness to explain them."""


def patient(letter: str) -> Record:
    """The chart of a patient in the waiting room.

    Raises ValueError if nobody there has that letter.
    """
    return read_chart(CLINIC_DIR / _illness_of(letter).patient)


def ill_lines(letter: str) -> str:
    """The lines that made a patient ill, as they stand in the list: code that changes a recipe.

    Raises ValueError if no patient has that letter.
    """
    source = inspect.getsource(_illness_of(letter).change)
    return textwrap.dedent(source.split("-> None:\n", 1)[1]).strip()


def suspects(measures: Measures) -> list[str]:
    """The names of all illnesses that fit a chart: all their signs show, and none that may not.

    This is the decision table read row by row; it has decided if one name is left.
    """
    found = signs_of(measures)
    return sorted({illness.name for illness in ILLNESSES if _fits(illness, found)})


def _fits(illness: Illness, found: set[str]) -> bool:
    return found.issuperset(illness.signs) and found.isdisjoint(illness.without)


class Verdict(NamedTuple):
    """The answer to a diagnosis. Each entry is a sentence about this patient's own pictures."""

    heading: str
    right: bool
    speaks_for: list[str]
    speaks_against: list[str]
    unexplained: list[str]
    advice: str

    def __repr__(self) -> str:
        lines = [self.heading]
        for title, sentences in (
            ("Speaks for it", self.speaks_for),
            ("Speaks against it", self.speaks_against),
            ("Not explained by it", self.unexplained),
        ):
            if sentences:
                lines += [f"{title}:", *(f"  - {sentence}" for sentence in sentences)]
        return "\n".join([*lines, self.advice] if self.advice else lines)


def diagnose(letter: str, guess: str) -> Verdict:
    """What speaks for and against a diagnosis, in the pictures of this very patient.

    ``guess`` is one of ``NAMES``. Raises ValueError for any other name, and for a letter that no
    patient has.
    """
    truth = _illness_of(letter)
    if guess.strip() in OPEN:
        heading = f"Patient {truth.patient}: no diagnosis yet. Write one between the quotes."
        return Verdict(heading, False, [], [], [], "")
    name = guess.strip().lower()
    known = {each.lower(): each for each in NAMES}
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        hint = f" Did you mean {known[close[0]]!r}?" if close else ""
        raise ValueError(f"no illness is called {guess!r}.{hint} There are: {', '.join(NAMES)}")
    name = known[name]
    right = name == truth.name
    guessed = truth if right else [each for each in ILLNESSES if each.name == name][-1]

    measures = _measures(letter)
    found = signs_of(measures)
    speaks_for = [_say(sign, True, measures) for sign in guessed.signs if sign in found]
    against = [_say(sign, False, measures) for sign in guessed.signs if sign not in found]
    against += [_say(sign, True, measures) for sign in guessed.without if sign in found]
    if right:  # what had to be ruled out
        speaks_for += [_say(sign, False, measures) for sign in truth.without]
        heading, rest, advice = "yes.", [], f"The cure: {truth.cure}"
    else:
        known = {*guessed.signs, *guessed.without, *WELL}
        rest = [_say(sign, True, measures) for sign in truth.signs if sign not in known]
        heading, advice = "no.", truth.confused_with.get(name, "").format(**measures)
    heading = f"Patient {truth.patient}, {name}: {heading}"
    return Verdict(heading, right, speaks_for, against, rest, advice)


@functools.cache
def _measures(letter: str) -> Measures:
    return measure(patient(letter))


def _say(name: str, shows: bool, measures: Measures) -> str:
    sign = SIGNS[name]
    return f"{sign.picture}: {(sign.yes if shows else sign.no).format(**measures)}"


def _illness_of(letter: str) -> Illness:
    by_letter = {illness.patient: illness for illness in ILLNESSES}
    if letter not in by_letter:
        raise ValueError(f"there is no patient {letter!r}: they are {', '.join(by_letter)}")
    return by_letter[letter]
