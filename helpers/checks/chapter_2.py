"""The checks of chapter 2: what a training writes down."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import confusion_matrix
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor, nn

from helpers.checks.answers import NotYet, check
from helpers.data import ImageData, make_loader
from helpers.model import ConvNet, accuracy


@check("a dictionary {name of a weight: number}, such as the out.weight's")
def check_2_1(strength: dict[str, float], images: Tensor, labels: Tensor, seed: int) -> str:
    """Whether these are the root mean squares of the weights' gradients in a new network.

    ``images`` (N, 1, 28, 28) and ``labels`` (N,) are the batch.
    """
    said = {str(name): float(number) for name, number in dict(strength).items()}
    torch.manual_seed(seed)
    model = ConvNet()
    nn.functional.cross_entropy(model(images.cpu()), labels.cpu()).backward()
    gradients = {name: p.grad for name, p in model.named_parameters() if p.ndim > 1}
    ways = {
        "right": {name: g.norm().item() / g.numel() ** 0.5 for name, g in gradients.items()},
        "norm": {name: g.norm().item() for name, g in gradients.items()},
        "square": {name: g.square().mean().item() for name, g in gradients.items()},
        "mean": {name: g.mean().item() for name, g in gradients.items()},
        "size": {name: g.abs().mean().item() for name, g in gradients.items()},
        "weight": {n: p.norm().item() / p.numel() ** 0.5 for n, p in model.named_parameters()},
    }
    if said.keys() - gradients.keys():
        raise NotYet("The five weight tensors are asked for; their names end in weight.")
    if missing := gradients.keys() - said.keys():
        raise NotYet(f"{min(missing)} isn't among them.")

    def same(way: str, times: float = 1) -> bool:
        return np.allclose(
            [said[name] for name in gradients],
            [times * ways[way][name] for name in gradients],
            rtol=0.03,
            atol=1e-12,
        )

    if same("right"):
        return (
            "The last layer's is the largest: it is nearest to the loss. Remember it for chapter 5."
        )
    if same("norm"):
        raise NotYet(
            "These are norms, which grow with the number of weights: a large layer looks strong "
            "because it is large."
        )
    if same("square"):
        raise NotYet("These are means of squares. The root, which comes last, is missing.")
    if same("mean") or same("size"):
        raise NotYet("That is a mean, but not of squares. Square, then the mean, then the root.")
    if same("weight"):
        raise NotYet("These are the weights' own sizes. The signal is in .grad.")
    if any(same("right", times) for times in (2, 3, 4, 5)):
        raise NotYet(
            "A whole multiple of it: backward() adds to .grad, and it was called more than once "
            "on this network."
        )
    raise NotYet(
        "Other numbers come out of a new network: torch.manual_seed(seed), then ConvNet(), then "
        "one backward() on this very batch."
    )


@check("the accuracy, a share")
def check_2_2(result: float, data: ImageData) -> str:
    """Whether a network with one answer to every test image is right as often as this."""
    value, labels = float(result), data.test.tensors[1]
    if not np.isfinite(value) or 2 < value < 2.5:
        raise NotYet("That is a loss. How many of the test images does it answer right?")
    if value > 1:
        raise NotYet("Write it as a share: 0.5 for every second image.")
    shares = labels.bincount() / len(labels)  # of each class
    if value > shares.max() + 0.005:
        raise NotYet(
            "This network has learned something. Was the rate 1, and not the chapter's "
            "learning_rate or ten times that?"
        )
    if value < shares.min() - 0.005:
        raise NotYet("Even a network with one answer to everything is right now and then.")
    return (
        "The first steps threw the weights so far that the ReLUs answer 0 to every image; no "
        "gradient passes them, so nothing brings them back."
    )


def after_forty_steps(seed: int, data: ImageData, batch_size: int, learning_rate: float) -> float:
    """The accuracy of a new network after 40 steps, as the chapter's ``short_run`` takes them."""
    torch.manual_seed(seed)
    model = ConvNet().to(memory_format=torch.channels_last)
    adam = torch.optim.Adam(model.parameters(), lr=learning_rate, fused=True)
    for _, (images, labels) in zip(
        range(40), make_loader(data.train, batch_size, seed=seed), strict=False
    ):
        loss = nn.functional.cross_entropy(model(images), labels)
        adam.zero_grad()
        loss.backward()
        adam.step()
    return accuracy(model, data.test)


@check("a dictionary {seed: accuracy} with three seeds")
def check_2_3(
    scores: dict[int, float], data: ImageData, batch_size: int, learning_rate: float
) -> str:
    """Whether these are the accuracies after 40 steps; each is trained for again."""
    said = {int(seed): float(right) for seed, right in dict(scores).items()}
    if len(said) < 3:
        raise NotYet(f"{len(said)} is too few to see how far they scatter: three seeds.")
    if max(said.values()) > 1:
        raise NotYet("Write them as shares: 0.5 for every second image.")
    if len(set(said.values())) == 1:
        raise NotYet(
            "All are the same to the last image, so the seed had no effect: short_run reads the "
            "chapter's own name seed, wherever yours is kept."
        )
    for seed in sorted(said):
        truth = after_forty_steps(seed, data, batch_size, learning_rate)
        if abs(said[seed] - truth) > 0.03:  # what another kind of device may round to
            raise NotYet(
                f"With seed {seed} it comes to {truth:.2f} here, and to {said[seed]:.2f} with you. "
                "The same rate, the same 40 steps, and a new network for each seed?"
            )
    spread = max(said.values()) - min(said.values())
    return (
        f"From the worst to the best it is {100 * spread:.0f} points: a difference between two "
        "learning rates that is smaller means nothing."
    )


@check("a step of the training, a whole number")
def check_2_4(step: int, folder: Path) -> str:
    """Whether at this step ``test/accuracy`` had first come nine tenths of its way to the best."""
    said = float(step)
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    points = events.Scalars("test/accuracy")
    steps, values = np.array([(point.step, point.value) for point in points]).T
    goal = 0.9 * np.nanmax(values)
    first = int((values >= goal).argmax())
    if said == steps[first]:
        return (
            "Little was left to learn after it, and a long part of the training still to pay for."
        )
    if said == first:
        raise NotYet("That is the place of the entry in the list. The entry knows its step.")
    if said == steps[values.argmax()]:
        raise NotYet("There it is at its best. It had come close to that long before.")
    if (values >= 0.9).any() and said == steps[(values >= 0.9).argmax()]:
        raise NotYet("There it reached 0.9. Nine tenths of its own highest value is less.")
    if said == float(points[first].value) or 0 < said < 1:
        raise NotYet("That is an accuracy. At which step was it logged?")
    if said not in steps:
        raise NotYet(f"At step {said:g} nothing was logged, so the file can't say.")
    early = "still below" if said < steps[first] else "above it already"
    raise NotYet(f"At this step it was {early}, compared with nine tenths of its highest value.")


@check("two classes, whole numbers: (what it is, what it was taken for)")
def check_2_5(pair: Sequence[int], test_labels: Tensor, logits: Tensor) -> str:
    """Whether no other two classes are confused so often; ``logits`` is (N, classes)."""
    true, taken = (int(number) for number in pair)
    counts = confusion_matrix(test_labels.cpu(), logits.argmax(1).cpu(), labels=range(10))
    wrong = counts * (1 - np.eye(10, dtype=int))
    if not (0 <= true < 10 and 0 <= taken < 10):
        raise NotYet("Both are classes, from 0 to 9: where is the field, row and column?")
    if wrong[true, taken] == wrong.max():
        return f"{wrong.max()} times. Look at some of them: would you have known?"
    if true == taken:
        raise NotYet("On the diagonal stands what was answered right.")
    if wrong[taken, true] == wrong.max():
        raise NotYet("The other way round: rows are what an image is.")
    if true == wrong.sum(1).argmax():
        raise NotYet(
            "That class is answered wrongly most often in all, but its mistakes go several ways. "
            "One field is asked for, not a row."
        )
    raise NotYet(f"That happened {wrong[true, taken]} times, and another mistake more often.")
