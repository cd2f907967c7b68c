"""The checks of chapter 6, with runs that are made up."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from helpers.checks.chapter_6 import check_6_1, check_6_2, check_6_3, check_6_4, check_6_5, ended
from tests.helpers.checks.case import Case

SCORES = {
    (0.1, 32): np.array([0.9, 0.7]),
    (0.1, 64): np.array([0.8, 0.9]),
    (0.2, 32): np.array([0.5, 0.8]),
}
RANKS = np.array([[1, 2, 3], [3, 1, 2]])


def run(early, late):
    """A finished run with eight entries."""
    values = [0.1, early, *np.linspace(early, late, 6)]
    return SimpleNamespace(curve=lambda tag: (list(range(8)), values))


RUNS = [run(0.2, 0.9), run(0.4, 0.5), run(0.6, 0.95), run(0.7, 0.8)]
RATES, SIZES = [0.001, 0.01], [32, 128]


def ratios(power, least=32):
    return {size: np.array(RATES) * (least / size) ** power for size in SIZES}


def by_hand(durations, workers):
    free_at = [0.0] * workers
    for duration in durations:
        free_at[free_at.index(min(free_at))] += duration
    return max(free_at)


def dealt_out(durations, workers):
    return max(sum(durations[number::workers]) for number in range(workers))


CASES = [
    Case(
        check_6_1,
        RANKS,
        {
            "worst setting has rank 1": 4 - RANKS,
            "from 1": RANKS - 1,
            "mean over the seeds": [[2, 1, 3], [2, 1, 3]],
            "argsort says": [[1, 2, 3], [2, 3, 1]],
            "Turn it": RANKS.T,
            "have the shape": [1, 2, 3],
            "among themselves": np.ones((2, 3)),
        },
        (SCORES,),
        also_right=[RANKS.tolist()],
    ),
    Case(
        check_6_2,
        (0.375, True),
        {
            "ends highest": (0.375, False),
            "in percent": (37.5, True),
            "was done": (0.5, True),
            "one stopped run saves": (0.75, True),
            "still to be paid": (0.625, True),
            "never computed": (0.1, True),
        },
        (RUNS,),
        also_right=[(np.float64(0.375), np.True_)],
    ),
    Case(
        check_6_3,
        ratios(1),
        {
            "isn't among them": {32: RATES},
            "comes second": ratios(0.5),
            "You multiplied": ratios(-1),
            "nothing was divided": ratios(0),
            "nobody can read": ratios(1, least=1),
            "over it": {32: RATES, 128: RATES[:1]},
        },
        (RATES, SIZES),
        also_right=[{size: list(row) for size, row in ratios(1).items()}],
    ),
    Case(
        check_6_4,
        by_hand,
        {
            "That is the ideal": lambda durations, workers: sum(durations) / workers,
            "like cards": dealt_out,
            "You sorted": lambda durations, workers: by_hand(sorted(durations)[::-1], workers),
            "end after 7; your function says 5": lambda durations, workers: max(durations),
            "changes the list": lambda durations, workers: durations.pop(0),
            "TypeError": lambda durations: 1,
        },
    ),
    Case(
        check_6_5,
        (0.05, 0.30),
        {
            "between 0 and 1": (5, 30),
            "Student's t is wider": (0.19, 0.77),
            "ddof=1": (0.072, 0.41),
            "one case of twenty": (0.5, 0.99),
            "at least one alarm": (0.05, 0.05),
            "alarms twice": (0.05, 0.35),
            "any alarm at all": (0.05, 0.6),
        },
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_right_untouched_and_mistaken(case):
    case.holds()


def test_ranks_as_scipy_has_them():
    table = np.array(list(SCORES.values())).T
    assert np.array_equal([stats.rankdata(-row, method="min") for row in table], RANKS)


def test_the_last_end_is_within_grahams_bound():
    durations = np.random.default_rng(0).uniform(1, 2, 24)
    for workers in range(1, 30):
        least = max(durations.sum() / workers, durations.max())
        assert least - 1e-9 <= ended(durations, workers) <= least + durations.max()
        assert ended(durations, workers) == pytest.approx(by_hand(durations, workers))


def test_false_alarms_are_as_frequent_as_the_check_says():
    differences = np.random.default_rng(0).normal(size=(100_000, 3))
    spread = differences.std(1, ddof=1) / 3**0.5
    for deviations, share in ((stats.t.ppf(0.975, 2), 0.05), (1.96, 0.19)):
        alarm = abs(differences.mean(1)) > deviations * spread
        assert alarm.mean() == pytest.approx(share, abs=0.005)
