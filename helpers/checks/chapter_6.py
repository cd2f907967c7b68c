"""The checks of chapter 6: what many runs say, and what they cost."""

import heapq
from collections.abc import Callable, Sequence

import numpy as np

from helpers.checks.answers import NotYet, called, check

Scores = dict[tuple[float, int], np.ndarray]
"""{(learning rate, batch size): the accuracy of each seed}."""


@check("an array (seeds, settings) of ranks")
def check_6_1(ranks: np.ndarray, scores: Scores) -> str:
    """Whether these are the settings' ranks, seed by seed, in the order of ``scores``."""
    said = np.array(ranks, dtype=float)
    table = np.array(list(scores.values())).T  # (seeds, settings)
    better = (table[:, None] > table[..., None]).sum(2)  # how many others are
    worse = (table[:, None] < table[..., None]).sum(2)
    mean = (table.mean(0)[None] > table.mean(0)[:, None]).sum(1)
    if said.shape == better.shape:
        if np.array_equal(said, better + 1):
            return (
                "With one seed you would have published whichever order that seed happened to give."
            )
        if np.array_equal(said, worse + 1):
            raise NotYet("The worst setting has rank 1 here. Rank by how much is wrong, or by -.")
        if np.array_equal(said, better):
            raise NotYet("The best has rank 0 here. People count ranks from 1.")
        if all(np.array_equal(row, mean + 1) for row in said):
            raise NotYet(
                "Each seed has the same ranks: these are ranks of the mean over the seeds."
            )
        orders = (-table).argsort(1), table.argsort(1)
        if any(np.array_equal(said, order + first) for order in orders for first in (0, 1)):
            raise NotYet(
                "argsort says which setting is at which place. A rank is the other way round: at "
                "which place a setting is."
            )
    elif said.shape == better.T.shape:
        raise NotYet("Turn it: a row for each seed, a column for each setting.")
    else:
        raise NotYet(f"The ranks have the shape {said.shape}; {better.shape} is wanted.")
    raise NotYet("Rank the settings of one seed among themselves, then those of the next seed.")


@check("two things: (the share of the work that is saved, whether the best run is kept)")
def check_6_2(stopped: tuple[float, bool], finished: list) -> str:
    """Whether this is what stopping the worse half after a quarter saves, and what it keeps.

    ``finished`` are runs with eight entries of ``test/accuracy`` each.
    """
    saved, kept = stopped
    curves = [run.curve("test/accuracy")[1] for run in finished]
    order = sorted(curve[1] for curve in curves)
    middle = (order[(len(order) - 1) // 2] + order[len(order) // 2]) / 2
    away = sum(value < middle for value in order) / len(order)
    best = max(curves, key=lambda curve: curve[-1])
    truth, saved = 0.75 * away, float(saved)
    if not isinstance(kept, bool | np.bool_):
        raise TypeError("kept is to be True or False")
    if abs(saved - truth) < 0.01:
        if bool(kept) == (best[1] >= middle):
            return (
                "Look at those that were stopped and would have ended as high as others: slow "
                "starters pay for the saving."
            )
        raise NotYet("The saving is right. Find the run that ends highest; where was it early on?")
    if abs(saved - 100 * truth) < 1:
        raise NotYet("That is in percent; a share is between 0 and 1.")
    if abs(saved - away) < 0.01:
        raise NotYet("So many runs are stopped, but what they did until then was done.")
    if abs(saved - 0.75) < 0.01:
        raise NotYet("That is what one stopped run saves. The others go on to their end.")
    if abs(saved - (1 - truth)) < 0.01:
        raise NotYet("That is what is still to be paid. What is saved is the rest.")
    raise NotYet("How many runs are stopped, and which part of such a run is never computed?")


@check("a dictionary {batch size: an array with a number for each learning rate}")
def check_6_3(
    ratios: dict[int, np.ndarray], learning_rates: Sequence[float], batch_sizes: Sequence[int]
) -> str:
    """Whether these are the learning rates over the batch size, for batches of the smallest."""
    said = {int(size): np.array(row, dtype=float) for size, row in dict(ratios).items()}
    rates, least = np.array(learning_rates), min(batch_sizes)

    def scaled(power: float) -> dict[int, np.ndarray]:
        return {size: rates * (least / size) ** power for size in batch_sizes}

    def same(other: dict[int, np.ndarray]) -> bool:
        return all(said[size].shape == row.shape for size, row in other.items()) and all(
            np.allclose(said[size], row) for size, row in other.items()
        )

    if missing := set(batch_sizes) - said.keys():
        raise NotYet(f"Batch size {min(missing)} isn't among them.")
    if same(scaled(1)):
        return (
            "Where both are only slow, the lines fall on each other; where it gets too wild, the "
            "root of the batch size fits better."
        )
    if same(scaled(0.5)):
        raise NotYet("That is the root of the batch size, which comes second. The ratio first.")
    if same(scaled(-1)):
        raise NotYet("You multiplied: with the larger batch the numbers are to become smaller.")
    if same(scaled(0)):
        raise NotYet("These are the learning rates as they were: nothing was divided.")
    if same({size: rates / size for size in batch_sizes}):
        raise NotYet(
            "These are the ratios, and nobody can read them. Multiply all by the smallest batch "
            "size, so that its own learning rates stand at the axis."
        )
    raise NotYet("A row is for one batch size: each learning rate, times the smallest, over it.")


def ended(durations: Sequence[float], workers: int) -> float:
    """When the last run ends if a free worker takes the next one: with a heap of ends."""
    ends = [0.0] * workers
    for duration in durations:
        heapq.heapreplace(ends, ends[0] + duration)
    return max(ends)


@check("a function makespan(durations, workers)")
def check_6_4(makespan: Callable[[list[float], int], float]) -> str:
    """Whether ``makespan`` says when the last of some runs ends on so many workers."""
    tries = [([3.0, 1.0, 1.0, 5.0], 2), ([1.0, 1.0, 4.0, 2.0, 2.0], 2), ([2.0, 6.0, 1.0, 1.0], 3)]
    tries += [([4.0, 2.0, 1.0, 3.0, 5.0, 2.0, 2.0], workers) for workers in (1, 2, 3, 4, 9)]
    given = [list(durations) for durations, _ in tries]
    said = [float(called(makespan, own, tried[1])) for own, tried in zip(given, tries, strict=True)]
    if given != [durations for durations, _ in tries]:
        raise NotYet(
            "Your function changes the list that it is given, and the next call gets that."
        )

    def same(way: Callable[[list[float], int], float]) -> bool:
        return np.allclose(said, [way(durations, workers) for durations, workers in tries])

    if same(ended):
        return (
            "Close to the ideal while there are several runs a worker, then a staircase: somebody "
            "has to do one more."
        )
    if same(lambda durations, workers: sum(durations) / workers):
        raise NotYet("That is the ideal. No run can be cut in two, and somebody ends last.")
    if same(lambda durations, workers: max(sum(durations[n::workers]) for n in range(workers))):
        raise NotYet(
            "You deal the runs out like cards. A worker that is done early takes the next one, "
            "whoever's turn it is."
        )
    if same(lambda durations, workers: ended(sorted(durations)[::-1], workers)):
        raise NotYet("You sorted the runs. Here they are taken in the order of the list.")
    durations, workers = tries[0]
    raise NotYet(
        f"{durations} on {workers} workers end after {ended(durations, workers):g}; your function "
        f"says {said[0]:g}. Play it through with two hands."
    )


@check("two shares: (of one comparison, of seven)")
def check_6_5(alarms: tuple[float, float]) -> str:
    """Whether so many comparisons of equal settings with three seeds find a difference."""
    one, seven = (float(share) for share in alarms)
    truth = 0.05, 1 - 0.95**7
    if abs(one - truth[0]) < 0.015 and abs(seven - truth[1]) < 0.03:
        return (
            "Every third chart of this kind shows a difference where there is none, and nothing "
            "in it looks wrong."
        )
    if one > 1 or seven > 1:
        raise NotYet("Shares are between 0 and 1.")
    if abs(one - 0.19) < 0.03:
        raise NotYet(
            "Too many. 1.96 deviations are for many seeds; for three, Student's t is wider: "
            "stats.t.ppf(0.975, 2)."
        )
    if abs(one - 0.0724) < 0.008:
        raise NotYet("A few too many. Is that the deviation with ddof=1?")
    if abs(one - truth[0]) >= 0.015:
        raise NotYet(
            "Of two settings that are the same, 95 % intervals should find a difference in one "
            "case of twenty. How wide are yours, and does the deviation belong to the mean?"
        )
    if abs(seven - truth[0]) < 0.03:
        raise NotYet("One is right. Seven of them: in how many charts does at least one alarm?")
    if abs(seven - 7 * one) < 0.03:
        raise NotYet("One is right. Seven times one counts charts with two alarms twice.")
    raise NotYet("One is right. Simulate seven at a time, and count charts with any alarm at all.")
