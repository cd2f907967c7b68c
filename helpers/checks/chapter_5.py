"""The checks of chapter 5: what the charts of sick trainings say."""

import functools
from collections import Counter
from collections.abc import Callable, Iterable

import numpy as np
from torch import nn

from helpers.checks.answers import NotYet, called, check
from helpers.clinic import ILLNESSES, LETTERS, NAMES, Recipe, Record, ill_recipe, patient, suspects
from helpers.clinic.signs import SIGNS, measure, signs_of


def ill(letter: str, seed: int = 0) -> Recipe:
    """The recipe of one patient."""
    return ill_recipe(next(one for one in ILLNESSES if one.patient == letter), seed)


@functools.cache
def losses(letter: str) -> np.ndarray:
    """The training losses in a patient's chart, from step 0 on."""
    return patient(letter).scalars["loss/train"][1]


@functools.cache
def signs(letter: str) -> frozenset[str]:
    """The signs that a patient's chart shows."""
    return frozenset(signs_of(measure(patient(letter))))


@check('letters of patients, such as "BC" or ["B", "C"]')
def check_5_1(letters: Iterable[str]) -> str:
    """Whether these patients had a first loss that no new network should have."""
    said = {letter for letter in "".join(letters).upper() if letter.isalpha()}
    truth = {letter for letter in LETTERS if not losses(letter)[0] < 10}
    later = {letter for letter in LETTERS if not np.nanmax(losses(letter)) < 10} - truth
    if said == truth:
        return (
            "Nothing has been learned yet, so it isn't the optimizer: either the weights as they "
            "were drawn, or the images."
        )
    if strangers := said - set(LETTERS):
        raise NotYet(f"There is no patient {min(strangers)}.")
    if said < truth:
        raise NotYet(
            "There is another. Beside a bar that is very high one can't see one that is only "
            "high, unless the axis is logarithmic."
        )
    if said & later:
        raise NotYet(
            f"The loss of {min(said & later)} was ordinary at first and rose later. Look at step 0."
        )
    raise NotYet(
        f"The first loss of {min(said - truth)} is {losses(min(said - truth))[0]:.1f}: a little "
        "above or below ln 10 is how weights happen to be drawn."
    )


@check("two things: (the chart that you read back, the step)")
def check_5_2(death: tuple[Record, int]) -> str:
    """Whether a chart of patient H, entry by entry, has nine tenths of a layer silent by a step."""
    chart, step = death
    silent = {
        tag.removeprefix("silent/"): values
        for tag, values in chart.scalars.items()
        if tag.startswith("silent/")
    }
    steps = chart.scalars["loss/test"][0]
    step, reached = int(step), {}
    for name, (at, share) in silent.items():
        if share[0] < 0.5 and (share >= 0.9).any():
            reached[name] = at[share >= 0.9][0]
    if not reached:
        raise NotYet(
            "In this chart every layer stays alive. Was it trained by the recipe of patient H, "
            "for long enough?"
        )
    name, truth = min(reached.items(), key=lambda pair: pair[1])
    if (np.diff(steps[steps <= truth]) > 1).any():
        raise NotYet("Between two entries of this chart lie several steps: give it every=1.")
    if step < truth:
        raise NotYet(f"At step {step} every layer still has more than a tenth that answers.")
    if step > truth:
        raise NotYet(f"By step {step} it has happened. Was it the first time?")
    return (
        f"It is {name}, after {truth:.0f} steps: a few leaps, and momentum carries the weights on "
        "when no gradient does."
    )


@check("the places of 16 training images, whole numbers")
def check_5_3(places: Iterable[int], seed: int) -> str:
    """Whether most of these 16 training images of patient R have a label that was shuffled."""
    said = [int(place) for place in places]
    recipe, healthy = ill("R", seed), Recipe(seed)
    shuffled = (recipe.labels != healthy.labels).cpu().numpy()
    if len(set(said)) != 16 or not all(0 <= place < len(shuffled) for place in said):
        raise NotYet(
            f"{len(set(said))} different places; 16 of the {len(shuffled)} training images are "
            "asked for."
        )
    wrong = shuffled[said].sum()
    if wrong >= 12:
        return (
            "It has learned from the majority what a digit looks like, so a wrong label surprises "
            "it. That is how labels are checked in earnest."
        )
    if wrong <= 2:
        raise NotYet(
            f"Of these, {wrong} have a wrong label: fewer than among any sixteen. Which end of "
            "the order is the surprising one?"
        )
    raise NotYet(
        f"Of these, {wrong} have a wrong label, about as many as among any sixteen. Was the "
        "network trained before, and does each loss belong to the image at its place?"
    )


@check('the name of a sign, text, such as "floor"')
def check_5_4(sign: str) -> str:
    """Whether this is the sign that most of the sick show."""
    name = sign.strip().lower()
    well = {name for one in ILLNESSES if one.name == "healthy" for name in signs(one.patient)}
    sick = [signs(one.patient) for one in ILLNESSES if one.name != "healthy"]
    count = Counter(name for shown in sick for name in shown)
    if name in {one.lower() for one in NAMES}:
        raise NotYet("That is what a patient has. A sign is what a picture shows: list SIGNS.")
    if name not in SIGNS:
        raise NotYet("No sign has this name: list(SIGNS) are the columns.")
    if name == count.most_common(1)[0][0]:
        return f"{count[name]} of {len(sick)} show it: a training failed, which one knew."
    if name in well:
        raise NotYet("That one the healthy show as well. Add up the rows of the sick only.")
    written = Counter(name for one in ILLNESSES for name in one.signs)
    if written[name] == count[name] == 1:
        raise NotYet("Only one patient shows that, so it is worth the most.")
    raise NotYet(f"{count[name]} of the sick show that one, and another sign is commoner.")


@check("a function cure(recipe)")
def check_5_5(cure: Callable[[Recipe], object], seed: int) -> str:
    """Whether this function cures the recipe of patient J, and changes nothing else."""
    recipe, healthy = ill("J", seed), Recipe(seed)
    before = {name: value for name, value in vars(recipe).items() if isinstance(value, int | float)}
    called(cure, recipe)
    try:
        logits = recipe.model(recipe.images[:8])
        nn.functional.cross_entropy(logits, recipe.labels[:8]).backward()
    except (RuntimeError, ValueError) as error:
        raise NotYet(f"The network doesn't run any more: {error}") from None
    layers = [name for name, p in recipe.model.named_parameters() if p.grad is None]
    held = {id(p) for p in recipe.optimized.parameters()}
    if layers:
        raise NotYet(
            f"Still no gradient reaches {layers[0]}. Which module stands between it and the loss, "
            "and what does its forward do?"
        )
    if any(id(p) not in held for p in recipe.model.parameters()):
        raise NotYet(
            "Now the gradients are there, and the optimizer holds another network: that is the "
            "illness of another patient. Mend the model that is there."
        )
    changed = [name for name, value in before.items() if getattr(recipe, name) != value]
    shapes = [[p.shape for p in one.model.parameters()] for one in (recipe, healthy)]
    if changed or shapes[0] != shapes[1]:
        what = changed[0] if changed else "the network's layers"
        raise NotYet(f"It is cured, but {what} changed too. A treatment that tests changes one.")
    return "Every layer gets a gradient, and nothing else has changed. Lay the new curve over it."


@check("two charts that you read back: (the healthy one, the sick one)")
def check_5_6(charts: tuple[Record, Record]) -> str:
    """Whether the table finds one chart healthy, and an illness in the other."""
    well, sick = charts
    if well is sick or well.name == sick.name:
        raise NotYet("That is one chart, twice. Write the second training into another folder.")
    of_well, of_sick = suspects(measure(well)), suspects(measure(sick))
    if "healthy" not in of_well:
        shown = ", ".join(sorted(signs_of(measure(well)))) or "none"
        raise NotYet(f"The table doesn't find the first one healthy. Its signs: {shown}.")
    if "healthy" in of_sick:
        raise NotYet("The table finds the second one healthy. Overdo it: ten times, or all of it.")
    if not of_sick:
        shown = ", ".join(sorted(signs_of(measure(sick)))) or "none"
        raise NotYet(
            f"Something is wrong with the second one, and no row of the table fits. Its signs: "
            f"{shown}. Change one thing that a patient has, and nothing beside it."
        )
    return f"The table says: {' or '.join(of_sick)}. Was it that?"
