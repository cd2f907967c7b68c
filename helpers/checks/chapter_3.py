"""The checks of chapter 3: what a history holds, and what a panel shows."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn
from torch.utils.data import TensorDataset

from helpers import hiddenlayer as hl
from helpers.checks.answers import NotYet, check


@check("a list of numbers, one for each entry of the history")
def check_3_1(way: Sequence[float], history: hl.History) -> str:
    """Whether this is how far ``hidden_weight`` had come from its first entry, at each entry."""
    said = np.array([float(number) for number in way])
    weights = history["hidden_weight"].data.astype(float)
    moved = (weights - weights[0]).reshape(len(weights), -1)
    steps = np.diff(weights.reshape(len(weights), -1), axis=0, prepend=weights[:1].reshape(1, -1))
    size = moved.shape[1] ** 0.5

    def same(truth: np.ndarray) -> bool:
        return np.allclose(said, truth, rtol=0.01, atol=1e-6)

    if len(said) == len(weights) - 1:
        raise NotYet("One is missing: the first entry counts as well. How far had it come?")
    if len(said) != len(weights):
        raise NotYet(f"The history has {len(weights)} entries, and these are {len(said)} numbers.")
    if same(np.linalg.norm(moved, axis=1) / size):
        return (
            "Slower than the steps: once the gradients disagree on a direction, steps forth and "
            "back cancel."
        )
    if same(np.linalg.norm(moved, axis=1)):
        raise NotYet("That is a sum of squares, and its root. A mean is taken before the root.")
    if same(np.linalg.norm(steps, axis=1) / size):
        raise NotYet("That is how far each entry is from the one before it, not from the first.")
    if same(abs(moved).mean(1)) or same(moved.mean(1)):
        raise NotYet("That is a mean, but not of squares: square, mean, root, in this order.")
    if same(np.linalg.norm(weights.reshape(moved.shape), axis=1) / size):
        raise NotYet("These are the weights themselves. Take away what they were at first.")
    raise NotYet("Take one entry away from the first, and ask for one number of the difference.")


def reached(model: nn.Module, images: torch.Tensor) -> list[np.ndarray]:
    """For each of ``fc``'s two ReLUs, the highest sum that each neuron hands it over the images."""
    highest = []
    with torch.no_grad():
        for part in images.split(500):
            x = model.conv2(model.conv1(part)).flatten(1)
            first = x @ model.fc[0].weight.T + model.fc[0].bias
            second = first.clamp(min=0) @ model.fc[2].weight.T + model.fc[2].bias
            highest.append([first.max(0).values, second.max(0).values])
    return [torch.stack(layer).max(0).values.cpu().numpy() for layer in zip(*highest, strict=True)]


@check("two whole numbers: (behind fc[1], behind fc[3])")
def check_3_2(silent: Sequence[int], model: nn.Module, train: TensorDataset) -> str:
    """Whether so many neurons of ``fc`` answer 0 to every training image.

    Whether a sum within a hair of 0 counts is left open: rounded in another order it may be 0.
    """
    first, second = (int(number) for number in silent)
    images = train.tensors[0].to(next(model.parameters()).device)
    found = reached(model, images)
    least, truth, most = (
        [int((layer <= hair).sum()) for layer in found] for hair in (-1e-4, 0, 1e-4)
    )
    sizes = [len(layer) for layer in found]
    batch = [int((layer <= 0).sum()) for layer in reached(model, images[:128])]

    def near(other: list[int]) -> bool:
        return abs(first - other[0]) <= 2 and abs(second - other[1]) <= 2

    if least[0] <= first <= most[0] and least[1] <= second <= most[1]:
        return (
            "More than there are white rows: the others fired early on, learned, and fell silent "
            "later."
        )
    if near([size - count for size, count in zip(sizes, truth, strict=True)]):
        raise NotYet("These are the neurons that fire for some image. The others are asked for.")
    if near(truth[::-1]):
        raise NotYet("The other way round: fc[1] comes first, and is the larger layer.")
    if near([0, 0]):
        raise NotYet(
            "None at all? The output of a linear layer is hardly ever exactly 0: hang the hooks "
            "on the ReLUs behind them."
        )
    if near(batch) or first > truth[0] + 2:
        raise NotYet(
            "Too many: for these a few images were enough, such as one batch. A neuron that fires "
            "for a single image anywhere isn't silent."
        )
    raise NotYet(
        "Note for each neuron whether any training image made it fire, over all batches and not "
        "only in the last."
    )


@check("the canvas that has drawn it")
def check_3_3(canvas: hl.Canvas, answers) -> str:
    """Whether the last panel of a canvas draws, for each class, two bars: answers and truth.

    ``answers`` is the metric whose entries are (true class, answer).
    """
    counts = np.asarray(answers.data[-1])
    if not isinstance(canvas, hl.Canvas):
        raise TypeError("no canvas")
    if not hasattr(type(canvas), "draw_answers"):
        raise NotYet("This canvas has no draw_answers: derive a class from hl.Canvas.")
    if not (figure := getattr(canvas, "figure", None)) or not figure.axes:
        raise NotYet("Nothing has been drawn on it: call draw_answers inside `with canvas:`.")
    axes = figure.axes[-1]
    bars = sorted((bar.get_x() + bar.get_width() / 2, bar.get_height()) for bar in axes.patches)
    heights = np.array([height for _, height in bars])
    if len(heights) != 2 * len(counts):
        raise NotYet(f"Two bars for each class are {2 * len(counts)}; there are {len(heights)}.")
    pairs = heights.reshape(-1, 2)  # of neighbours, in the order of their places
    said, true = counts.sum(0), counts.sum(1)
    if not np.allclose(np.sort(pairs, 1), np.sort(np.stack([said, true], 1), 1)):
        if np.allclose(np.sort(pairs, 1)[:, 0], counts.diagonal()):
            raise NotYet(
                "One of the bars is what was answered right. How often was it the answer, right "
                "or wrong?"
            )
        if heights.max() <= 1:
            raise NotYet("These are shares. The number of test images is what the axis counts.")
        raise NotYet(
            "Sum the matrix along one axis for the answers, along the other for the truth."
        )
    if np.diff([place for place, _ in bars]).min() < 1e-6:
        raise NotYet("Two bars stand at one place, and one hides the other. Move a row aside.")
    labels = [text.get_text() for text in axes.get_legend().texts] if axes.get_legend() else []
    if len(labels) != 2:
        raise NotYet("The bars are right. Which is which? Give each a label, and show a legend.")
    handles, words = axes.get_legend_handles_labels()
    for handle, word in zip(handles, words, strict=True):
        own = [bar.get_height() for bar in handle.patches]
        if "answer" in word.lower() and np.allclose(own, true) and not np.allclose(own, said):
            raise NotYet(
                "The two names are at the wrong bars: a row of the matrix is a true class, and "
                "its sum is how often that class is the truth."
            )
    if not axes.get_xlabel() or not axes.get_ylabel():
        raise NotYet("The bars are right. Name the axes, for whoever sees nothing but the picture.")
    return "Where the answers stand higher, that class takes images from others."


@check("a neuron's number, which is its row in the matrix")
def check_3_4(neuron: int, history: hl.History) -> str:
    """Whether this row of ``hidden_weight`` has changed the most, by its root mean square."""
    number, weights = int(neuron), history["hidden_weight"].data.astype(float)
    if number != neuron:
        raise TypeError("no whole number")
    change = weights[-1] - weights[0]
    rows = np.linalg.norm(change, axis=1)
    if number == rows.argmax():
        return "Look at its row in the picture of the change: no other is so full of colour."
    if number == np.linalg.norm(change, axis=0).argmax():
        raise NotYet("That is a column: a neuron of the layer before. A row is a neuron of this.")
    if number == np.linalg.norm(weights[-1], axis=1).argmax():
        raise NotYet("Its weights are the largest, and mostly were so from the start.")
    if number == abs(change).argmax():
        raise NotYet("argmax counts through the whole matrix. Which row is that place in?")
    if not 0 <= number < len(rows):
        raise NotYet(f"The matrix has {len(rows)} rows, counted from 0.")
    if number == abs(change).max(1).argmax():
        raise NotYet("It holds the single weight that moved furthest. Ask for the whole row.")
    more = int((rows > rows[number]).sum())
    raise NotYet(f"{more} rows have changed more than this one.")
