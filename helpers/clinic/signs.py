"""What can be read off a chart: quantities that are measured in it, and the signs of an illness."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from helpers.clinic.chart import Record

Measures = dict[str, float | str]


def measure(record: Record) -> Measures:
    """The quantities that decide, from one chart: numbers, and the names of layers and classes.

    Shares are in [0, 1]. ``bad_step`` is the first step whose loss isn't finite, else infinity.
    What can't be measured is NaN, which is no sign of anything.
    """
    loss_steps, losses = record.scalars["loss/train"]
    test_loss = record.scalars["loss/test"][1]
    test_steps, test_accuracy = record.scalars["accuracy/test"]
    again_steps, again = record.scalars["accuracy/test_counted_again"]
    same_moment = test_accuracy[np.isin(test_steps, again_steps)]
    bad = loss_steps[~np.isfinite(losses)]
    recall = record.confusion.diagonal() / record.confusion.sum(1).clip(1)
    worst, second = np.sort(recall)[:2]
    return {
        "first_loss": losses[0],
        "early_loss": losses[(loss_steps <= 5) & np.isfinite(losses)].max(),
        "last_loss": losses[-3:].mean(),
        "last_test_loss": test_loss[-1],
        "bad_step": bad[0] if len(bad) else math.inf,
        "train_accuracy": record.scalars["accuracy/train"][1][-3:].mean(),
        "test_accuracy": test_accuracy[-1],
        "recount": np.abs(same_moment - again).max(),
        **_gradients(record),
        **_silent_units(record),
        **_weights(record),
        **{
            f"{part}_{what}": record.scalars[f"pixels/{part}_{what}"][1][0]
            for part in ("train", "test")
            for what in ("lowest", "mean", "highest")
        },
        "classes_in_batch": record.scalars["classes/train"][1][0],
        "worst_recall": worst,
        "second_recall": second,
        "worst_class": str(recall.argmin()),
    }


def _gradients(record: Record) -> Measures:
    """Of the norm per layer: which layers get none, how it changes over depth and over time."""
    layers = record.layers()
    norms = np.array([record.scalars[f"gradient/{layer}"][1] for layer in layers])  # (L, S)
    total = np.sqrt((norms**2).sum(0))
    unreached = [layer for layer, row in zip(layers, norms, strict=True) if not row.any()]
    return {
        "unreached": len(unreached),
        "unreached_layers": ", ".join(unreached),
        "depth_ratio": norms[0, 0] / norms[-1, 0] if norms[-1, 0] else math.nan,
        "first_layer": layers[0],
        "last_layer": layers[-1],
        "growth": total[-1] / total[0] if total[0] else math.nan,
        "still_at_its_height": total[-1] / total.max(),
    }


def _silent_units(record: Record) -> Measures:
    """The largest share of silent units of any layer, at the first step and at the end."""
    shares = [values for tag, (_, values) in record.scalars.items() if tag.startswith("silent/")]
    return {
        "silent_first": max((share[0] for share in shares), default=0.0),
        "silent_last": max((share[-1] for share in shares), default=0.0),
    }


def _weights(record: Record) -> Measures:
    """How far the weights' histograms have come, as a share of their first spread.

    The largest change of a layer's lowest, highest or spread, from the first moment to the
    second, from the last but one to the last, and over all; 0 only if nothing moved.
    """
    early, late, all_the_way, spread = [], [], [], []
    for tag, moments in record.histograms.items():
        if not tag.startswith("weights/"):
            continue
        shapes = [_shape(*histogram) for histogram in moments.values()]
        if len(shapes) < 3:
            continue  # weights that aren't finite have no histogram
        unit = shapes[0][2]
        early.append(np.abs(shapes[1] - shapes[0]).max() / unit)
        late.append(np.abs(shapes[-1] - shapes[-2]).max() / unit)
        all_the_way.append(np.abs(shapes[-1] - shapes[0]).max() / unit)
        spread.append(shapes[-1][2] / unit)
    if not spread:
        return dict.fromkeys(("moved_early", "moved_late", "moved", "shrunk_to"), math.nan)
    return {
        "moved_early": max(early),
        "moved_late": max(late),
        "moved": max(all_the_way),
        "shrunk_to": min(spread),
    }


def _shape(edges: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Lowest, highest and root mean square of what a histogram counts."""
    middles = (edges[1:] + edges[:-1]) / 2
    spread = math.sqrt((counts * middles**2).sum() / counts.sum())
    return np.array([edges[0], edges[-1], spread])


class Sign(NamedTuple):
    """Something that a chart shows or doesn't: in which picture, and what to say in either case.

    ``yes`` and ``no`` are filled in with the patient's own ``measure``.
    """

    picture: str
    shows: Callable[[Measures], bool]
    yes: str
    no: str


SIGNS = {
    "learns": Sign(
        "accuracy",
        lambda m: m["test_accuracy"] > 0.85,
        "The network answers {test_accuracy:.0%} of the test images right at the end.",
        "The network answers only {test_accuracy:.0%} of the test images right at the end.",
    ),
    "guessing": Sign(
        "loss",
        lambda m: m["train_accuracy"] < 0.2,
        "It is guessing: {train_accuracy:.0%} of its training images right, a loss of "
        "{last_loss:.3g}.",
        "It has learned something: {train_accuracy:.0%} of its training images right, where "
        "guessing gives 10%.",
    ),
    "starts high": Sign(
        "loss",
        lambda m: m["first_loss"] > 10,
        "The first loss is {first_loss:,.0f}, before any weight has moved; a new network that "
        "guesses has about ln 10 = 2.3.",
        "The first loss is {first_loss:.2f}, about the ln 10 = 2.3 of a new network that guesses.",
    ),
    "blows up at once": Sign(
        "loss",
        lambda m: m["early_loss"] > 100 or m["bad_step"] <= 5,
        "Within the first five steps the loss reaches {early_loss:.0e}.",
        "In the first five steps the loss stays below {early_loss:.3g}.",
    ),
    "floor": Sign(
        "loss",
        lambda m: m["last_test_loss"] > 1.4 and m["test_accuracy"] > 0.6,
        "The test loss ends at {last_test_loss:.2f}, although {test_accuracy:.0%} of the answers "
        "are right: a floor under the loss.",
        "The test loss ends at {last_test_loss:.2f} with {test_accuracy:.0%} of the answers right: "
        "there is no floor of 1.46 under it.",
    ),
    "perfect in training": Sign(
        "accuracy",
        lambda m: m["train_accuracy"] > 0.96,
        "At the end {train_accuracy:.0%} of the training images are answered right.",
        "Even at the end only {train_accuracy:.0%} of the training images are answered right.",
    ),
    "gap": Sign(
        "accuracy",
        lambda m: m["train_accuracy"] - m["test_accuracy"] > 0.09,
        "{train_accuracy:.0%} of the training images are right, but only {test_accuracy:.0%} of "
        "the test images.",
        "Training images ({train_accuracy:.0%} right) and test images ({test_accuracy:.0%}) aren't "
        "far apart.",
    ),
    "better in the test": Sign(
        "accuracy",
        lambda m: m["test_accuracy"] - m["train_accuracy"] > 0.15,
        "The test images are answered far better ({test_accuracy:.0%}) than the training images "
        "({train_accuracy:.0%}).",
        "The test images ({test_accuracy:.0%}) aren't answered far better than the training images "
        "({train_accuracy:.0%}).",
    ),
    "too good": Sign(
        "accuracy",
        lambda m: m["test_accuracy"] > 0.98,
        "{test_accuracy:.1%} of the test images right after 2,000 training images: nobody does "
        "that honestly.",
        "{test_accuracy:.0%} of the test images right is what 2,000 training images can give.",
    ),
    "counts differ": Sign(
        "accuracy",
        lambda m: m["recount"] > 0,
        "The same weights, counted twice on the same test images, give two accuracies, up to "
        "{recount:.1%} apart.",
        "Counted twice, the accuracy on the test images is the same to the last image.",
    ),
    "no gradient": Sign(
        "gradients",
        lambda m: m["unreached"] > 0,
        "Not once does a gradient reach {unreached_layers}.",
        "Every layer gets a gradient.",
    ),
    "gradient vanishes": Sign(
        "gradients",
        lambda m: 0 < m["depth_ratio"] < 1e-3,
        "At step 0 the gradient of {first_layer} is {depth_ratio:.0e} of that of {last_layer}, and "
        "each layer between has less than the one behind it.",
        "At step 0 the gradient of {first_layer} is {depth_ratio:.1g} times that of {last_layer}: "
        "it doesn't vanish on its way.",
    ),
    "gradient piles up": Sign(
        "gradients",
        lambda m: m["growth"] > 8 and m["still_at_its_height"] > 0.9,
        "The gradient grows and never comes down: at the end it is {growth:,.0f} times the first.",
        "The gradient doesn't pile up: at the end it is {growth:.2g} times the first.",
    ),
    "silent from the start": Sign(
        "silent units",
        lambda m: m["silent_first"] > 0.95,
        "Already at step 0, {silent_first:.0%} of a layer's units are silent.",
        "At step 0 no layer has more than {silent_first:.0%} silent units.",
    ),
    "falls silent": Sign(
        "silent units",
        lambda m: m["silent_first"] < 0.5 and m["silent_last"] > 0.95,
        "A layer that had {silent_first:.0%} silent units at step 0 has {silent_last:.0%} at the "
        "end.",
        "No layer falls silent: {silent_last:.0%} of its units are, where it is most.",
    ),
    "weights untouched": Sign(
        "weights",
        lambda m: m["moved"] == 0,
        "The weights' histograms at the end are those of step 0, to the last digit.",
        "The weights have moved, by up to {moved:.2g} of their spread.",
    ),
    "weights hardly move": Sign(
        "weights",
        lambda m: 0 < m["moved"] < 0.2,
        "The weights move, but the edges of their histograms by no more than {moved:.2g} spreads.",
        "The weights have come {moved:.2g} times their spread.",
    ),
    "weights freeze": Sign(
        "weights",
        lambda m: m["moved_early"] > 0 and m["moved_late"] == 0,
        "The weights moved in the first steps, but from step 100 on their histograms are the same "
        "to the last digit.",
        "The weights don't freeze on the way.",
    ),
    "weights collapse": Sign(
        "weights",
        lambda m: m["shrunk_to"] < 0.02,
        "A layer's weights shrink to {shrunk_to:.0e} of their first spread.",
        "No layer's weights collapse: the narrowest keeps {shrunk_to:.0%} of its spread.",
    ),
    "pixels too large": Sign(
        "batch",
        lambda m: m["train_highest"] > 2,
        "The training images' pixels reach from {train_lowest:g} to {train_highest:g}.",
        "The training images' pixels reach from {train_lowest:g} to {train_highest:g}, as they "
        "should.",
    ),
    "test images differ": Sign(
        "batch",
        lambda m: abs(m["train_mean"] - m["test_mean"]) > 0.3 * m["train_highest"],
        "Training images have a mean of {train_mean:.2f}, test images one of {test_mean:.2f}: they "
        "weren't prepared alike.",
        "Training and test images look alike: means of {train_mean:.3g} and {test_mean:.3g}.",
    ),
    "one class in a batch": Sign(
        "batch",
        lambda m: m["classes_in_batch"] == 1,
        "All images of the first batch are of one class.",
        "The first batch has images of {classes_in_batch:.0f} classes.",
    ),
    "one class lost": Sign(
        "confusion",
        lambda m: m["worst_recall"] < 0.5 and m["second_recall"] > 0.7,
        "Of class {worst_class} only {worst_recall:.0%} are answered right, of every other class "
        "at least {second_recall:.0%}.",
        "No class alone is lost: the worst, {worst_class}, has {worst_recall:.0%} right, the next "
        "{second_recall:.0%}.",
    ),
}
"""The columns of the decision table: every sign that an illness may show."""


def signs_of(measures: Measures) -> set[str]:
    """The names of all signs that a chart shows."""
    return {name for name, sign in SIGNS.items() if sign.shows(measures)}
