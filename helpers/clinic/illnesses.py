"""The one list: every illness, what it shows, what it is confused with, and its cure.

Recordings, tables, the answers of ``diagnose`` and the tests all come from here. An illness is a
small function that changes one thing in a healthy ``Recipe``; what stands above it describes it.

``signs`` must all show in a patient's chart, and ``without`` must not: together they are the
illness's row in the decision table. Each name is a sign of ``signs.py``. A sentence in
``confused_with`` is said to somebody who took this patient for that illness; names in braces are
quantities measured in the patient's own chart.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from helpers.clinic.recipe import Recipe, draw_weights
from helpers.model import ConvNet


@dataclass(frozen=True)
class Illness:
    """One entry of the list. ``change`` makes a recipe ill; ``cured`` is its line, put right."""

    patient: str
    name: str
    change: Callable[[Recipe], None]
    first_sight: str
    picture: str
    shows: str
    signs: tuple[str, ...]
    without: tuple[str, ...]
    cure: str
    cured: str
    confused_with: dict[str, str] = field(default_factory=dict)


ILLNESSES: list[Illness] = []


def illness(without: tuple[str, ...] = (), **entry: object) -> Callable:
    """Put the function below into the list, with what is said about it."""

    def enlist(change: Callable[[Recipe], None]) -> Callable[[Recipe], None]:
        ILLNESSES.append(Illness(change=change, without=without, **entry))
        return change

    return enlist


# What one sees first, before one knows why; the groups of the table to keep.
WELL = "The loss falls, and test images are answered nearly as well"
HUGE = "The loss becomes enormous, or NaN"
STUCK = "The loss stays near ln 10 = 2.3, which is guessing"
SLOW = "The loss falls, but stays too high"
GAP = "Training goes well, the test images badly"
NOISY = "Test images are answered better than training images"
TOO_GOOD = "The test images are answered too well"


@illness(
    patient="L",
    name="healthy",
    first_sight=WELL,
    picture="all of them",
    shows="no sign of any illness",
    signs=("learns", "perfect in training"),
    without=("gap", "too good", "counts differ", "no gradient", "one class lost"),
    cure="None is needed.",
    cured="pass",
    confused_with={
        "overfitting": "The distance between {train_accuracy:.0%} and {test_accuracy:.0%} is what "
        "2,000 training images leave; an overfitted network is more than 9 points apart.",
    },
)
def healthy(recipe: Recipe) -> None:
    pass


@illness(
    patient="E",
    name="healthy",
    first_sight=WELL,
    picture="accuracy",
    shows="test images slightly ahead: dropout hinders the training images only",
    signs=("learns",),
    without=(
        "perfect in training",
        "better in the test",
        "floor",
        "counts differ",
        "no gradient",
        "one class lost",
    ),
    cure="None is needed.",
    cured="recipe.model.fc.append(nn.Dropout(0.5))",
    confused_with={
        "labels shuffled for a part": "The training images are behind because dropout switches off "
        "half the units for them alone; {train_accuracy:.0%} is far more than wrong labels allow.",
        "evaluated in training mode": "Dropout there is. But counted twice, the test images give "
        "the same accuracy: for them it was switched off.",
    },
)
def healthy_with_dropout(recipe: Recipe) -> None:
    recipe.model.fc.append(nn.Dropout(0.5))


@illness(
    patient="S",
    name="learning rate far too high",
    first_sight=HUGE,
    picture="loss",
    shows="a healthy first step, then a loss that multiplies at each step",
    signs=("blows up at once",),
    without=("starts high",),
    cure="Divide it by ten until the loss falls from the first steps on.",
    cured="recipe.learning_rate = 0.05",
    confused_with={
        "exploding gradients": "Look at step 0: a loss of {first_loss:.2f} and ordinary gradients. "
        "The untouched network is well; it explodes only once the optimizer has moved it.",
    },
)
def learning_rate_far_too_high(recipe: Recipe) -> None:
    recipe.learning_rate = 5.0


@illness(
    patient="H",
    name="learning rate too high",
    first_sight=STUCK,
    picture="silent units",
    shows="units that were alive at step 0 are silent some steps later, for good",
    signs=("guessing", "falls silent"),
    without=("blows up at once", "gradient piles up", "one class in a batch"),
    cure="Divide it by three or ten; or let it rise over the first hundred steps.",
    cured="recipe.learning_rate = 0.05",
    confused_with={
        "dead ReLUs": "Dead they are at the end, but not at the start: at step 0 no layer had more "
        "than {silent_first:.0%} silent units. A step killed them.",
        "weight decay far too large": "The weights haven't collapsed: the narrowest layer keeps "
        "{shrunk_to:.0%} of its spread. What stopped are the units.",
    },
)
def learning_rate_too_high(recipe: Recipe) -> None:
    recipe.learning_rate = 0.5


@illness(
    patient="B",
    name="learning rate too low",
    first_sight=SLOW,
    picture="weights",
    shows="histograms that have moved by a hair, while the gradients are in good health",
    signs=("weights hardly move",),
    without=("weights untouched", "weights freeze", "gradient vanishes"),
    cure="Multiply it by ten until the loss falls within the first epoch.",
    cured="recipe.learning_rate = 0.05",
    confused_with={
        "optimizer holds another network": "The weights do move, if only by {moved:.2g} of their "
        "spread, and {train_accuracy:.0%} right is more than guessing.",
        "scheduler stepped each batch": "Here the loss goes on falling to the end, slowly as it "
        "does; a learning rate that was used up leaves it flat.",
        "vanishing gradients": "The gradients are all there, from the first layer to the last. "
        "They are only multiplied by too little.",
    },
)
def learning_rate_too_low(recipe: Recipe) -> None:
    recipe.learning_rate = 0.00005


@illness(
    patient="P",
    name="zero_grad forgotten",
    first_sight=HUGE,
    picture="gradients",
    shows="norms that grow and never come down, and weights that follow them",
    signs=("gradient piles up",),
    without=("weights untouched", "blows up at once"),
    cure="Call optimizer.zero_grad() before each backward().",
    cured="recipe.zero_grad = True",
    confused_with={
        "learning rate far too high": "That would blow up within a few steps. Here it takes "
        "dozens, since each step's gradient is added to those before it.",
        "learning rate too high": "With a high rate the gradient rises and falls. Here it only "
        "rises, to {growth:,.0f} times the first.",
        "exploding gradients": "The first gradients are ordinary, and so is the first loss, "
        "{first_loss:.2f}: it isn't the network that multiplies, it is the sum that grows.",
        "optimizer holds another network": "Both pile gradients up. But here the weights move.",
    },
)
def zero_grad_forgotten(recipe: Recipe) -> None:
    recipe.zero_grad = False


@illness(
    patient="N",
    name="optimizer holds another network",
    first_sight=STUCK,
    picture="weights",
    shows="histograms that are the same at the end as at step 0, while gradients pile up",
    signs=("guessing", "weights untouched", "gradient piles up"),
    cure="Make the optimizer after the model, from the model that is trained.",
    cured="recipe.optimized = recipe.model",
    confused_with={
        "learning rate too low": "A low rate moves the weights a little. These haven't moved at "
        "all.",
        "zero_grad forgotten": "The gradients do pile up: zero_grad clears those of the other "
        "network. But a forgotten zero_grad would still move the weights.",
        "vanishing gradients": "The gradients don't vanish, they pile up, to {growth:,.0f} times "
        "the first. Nobody uses them.",
    },
)
def optimizer_holds_another_network(recipe: Recipe) -> None:
    recipe.optimized = ConvNet()


class Cut(nn.Module):
    """Hands on its input without its history, as ``x.detach()`` in a forward does."""

    def forward(self, x: Tensor) -> Tensor:
        return x.detach()


@illness(
    patient="J",
    name="branch cut by detach",
    first_sight=WELL,
    picture="gradients",
    shows="none at all for the layers before the cut; the autograd graph ends there",
    signs=("learns", "no gradient"),
    without=("silent from the start",),
    cure="Remove the detach(), .data, .item() or NumPy call from the forward.",
    cured="pass  # the line with the detach is gone",
    confused_with={
        "healthy": "It learns on top of random features, and gets to {test_accuracy:.0%}. But no "
        "gradient ever reaches {unreached_layers}.",
        "vanishing gradients": "A vanishing gradient is small, and smaller from layer to layer. "
        "Here it is 0 from one layer to the next.",
        "dead ReLUs": "Where gradients stop because units are silent, the silent units show: here "
        "no more than {silent_last:.0%}, and it learns.",
    },
)
def branch_cut_by_detach(recipe: Recipe) -> None:
    recipe.model.conv2.append(Cut())


@illness(
    patient="G",
    name="images not scaled",
    first_sight=HUGE,
    picture="batch",
    shows="pixels from 0 to 255",
    signs=("starts high", "pixels too large"),
    cure="Divide the images by 255, training and test images alike.",
    cured="pass  # load_dataset has divided by 255 already",
    confused_with={
        "learning rate far too high": "Before the learning rate could do anything, the loss is "
        "{first_loss:,.0f}. Look at what goes in.",
        "exploding gradients": "The same picture, but for the batch: pixels up to "
        "{train_highest:g}. The weights are ordinary, the images aren't.",
        "dead ReLUs": "At step 0 no layer had more than {silent_first:.0%} silent units. They died "
        "of the first step.",
    },
)
def images_not_scaled(recipe: Recipe) -> None:
    recipe.images, recipe.test_images = recipe.images * 255, recipe.test_images * 255


@illness(
    patient="R",
    name="labels shuffled for a part",
    first_sight=NOISY,
    picture="batch",
    shows="labels that aren't their images', though the test images are answered well",
    signs=("better in the test",),
    without=("pixels too large",),
    cure="Look at the images with the largest losses, and mend their labels.",
    cured="pass  # the labels as they were",
    confused_with={
        "healthy": "{train_accuracy:.0%} in training is far behind {test_accuracy:.0%} in the "
        "test. Read the labels in the batch.",
        "learning rate too low": "The test accuracy, {test_accuracy:.0%}, says that it has learned "
        "enough. What it can't learn are labels that are wrong.",
        "evaluated in training mode": "That would lower the test accuracy. Here it is the training "
        "accuracy that is low.",
    },
)
def labels_shuffled_for_a_part(recipe: Recipe) -> None:
    wrong = torch.rand(len(recipe.labels)) < 0.4
    recipe.labels[wrong] = torch.randint(10, (int(wrong.sum()),))


@illness(
    patient="D",
    name="sorted by class, never shuffled",
    first_sight=STUCK,
    picture="batch",
    shows="one class only; the loss falls to nothing and jumps at the next class",
    signs=("one class in a batch",),
    cure="Shuffle the training images, anew in each epoch.",
    cured="recipe.shuffle = True",
    confused_with={
        "learning rate too high": "The loss jumps whenever a new class begins, and the first batch "
        "shows a single one. The learning rate is innocent.",
        "one class nearly missing": "None is missing. They come one after the other, and the last "
        "wipes out the others.",
    },
)
def sorted_by_class(recipe: Recipe) -> None:
    order = recipe.labels.argsort(stable=True)
    recipe.images, recipe.labels = recipe.images[order], recipe.labels[order]
    recipe.shuffle = False


@illness(
    patient="U",
    name="test images in the training set",
    first_sight=TOO_GOOD,
    picture="accuracy",
    shows="no distance at all between training and test",
    signs=("perfect in training", "too good"),
    cure="Split before anything else, and look for images that are in both parts.",
    cured="pass  # the two parts as they were split",
    confused_with={
        "healthy": "Too healthy: {test_accuracy:.1%} of the test images, where 2,000 honest "
        "training images give some 94%.",
    },
)
def test_images_in_the_training_set(recipe: Recipe) -> None:
    recipe.images[:500], recipe.labels[:500] = recipe.test_images, recipe.test_labels


@illness(
    patient="M",
    name="dead ReLUs",
    first_sight=STUCK,
    picture="silent units",
    shows="a whole layer silent, already at step 0; no gradient passes it",
    signs=("guessing", "silent from the start"),
    cure="Mind the initial biases and the scale of what comes in; or use a LeakyReLU.",
    cured="nn.init.constant_(recipe.model.fc[0].bias, 0.0)",
    confused_with={
        "branch cut by detach": "No gradient reaches {unreached_layers}, true. But "
        "{silent_first:.0%} of a layer's units are silent: the way back is there, and closed.",
        "learning rate too high": "They are silent at step 0, before the learning rate could do "
        "any harm.",
        "vanishing gradients": "The gradient doesn't fade from layer to layer, it is 0 behind a "
        "layer of silent units.",
        "optimizer holds another network": "The loss has settled at {last_loss:.2f}, so the last "
        "bias does learn. The units before it are silent.",
    },
)
def dead_relus(recipe: Recipe) -> None:
    nn.init.constant_(recipe.model.fc[0].bias, -5.0)


def deepen(model: ConvNet, activation: type[nn.Module]) -> None:
    """Six more hidden layers in ``fc``, and this activation in place of every ReLU."""
    for _ in range(6):
        layer = nn.Linear(64, 64)
        draw_weights(layer)
        model.fc.extend([layer, nn.ReLU()])
    for block in (model.conv1, model.conv2, model.fc):
        for place, layer in enumerate(block):
            if isinstance(layer, nn.ReLU):
                block[place] = activation()


@illness(
    patient="Q",
    name="vanishing gradients",
    first_sight=STUCK,
    picture="gradients",
    shows="norms that fall from layer to layer, from the last to the first",
    signs=("guessing", "gradient vanishes"),
    cure="ReLUs in place of sigmoids; or batch normalization, or residual connections.",
    cured="deepen(recipe.model, nn.ReLU)",
    confused_with={
        "learning rate too low": "A higher rate would move the last layers too far and the first "
        "still not at all: {first_layer} gets {depth_ratio:.0e} of what {last_layer} gets.",
        "dead ReLUs": "There are no silent units, and every layer does get a gradient, only less "
        "and less of it.",
        "optimizer holds another network": "The weights do move, by up to {moved:.2g} of their "
        "spread; it is the first layers that get next to nothing.",
    },
)
def vanishing_gradients(recipe: Recipe) -> None:
    deepen(recipe.model, nn.Sigmoid)


@illness(
    patient="A",
    name="exploding gradients",
    first_sight=HUGE,
    picture="loss",
    shows="a first loss and first gradients in the thousands, before any weight has moved",
    signs=("starts high", "blows up at once"),
    without=("pixels too large",),
    cure="Draw the first weights to suit the layers' widths; clip the gradient's norm.",
    cured="recipe.model.apply(draw_weights)",
    confused_with={
        "learning rate far too high": "Look at step 0: the loss is {first_loss:,.0f} before the "
        "optimizer has done anything. The weights were drawn too large.",
        "images not scaled": "The batch is in order: pixels from {train_lowest:g} to "
        "{train_highest:g}.",
        "zero_grad forgotten": "Sums of gradients need time to grow. These are enormous at step 0.",
    },
)
def exploding_gradients(recipe: Recipe) -> None:
    for parameter in recipe.model.parameters():
        nn.init.normal_(parameter)


@illness(
    patient="T",
    name="softmax applied twice",
    first_sight=SLOW,
    picture="loss",
    shows="a floor at 1.46, however right the answers are; the architecture graph ends in Softmax",
    signs=("floor",),
    without=("weights freeze",),
    cure="Give CrossEntropyLoss the logits; it applies the softmax itself.",
    cured="pass  # the logits go to the loss as they are",
    confused_with={
        "learning rate too low": "{test_accuracy:.0%} of the answers are right, so it has learned. "
        "A loss of {last_test_loss:.2f} doesn't fit such answers, unless something holds it up.",
        "labels shuffled for a part": "Wrong labels hold up the training loss; here the test loss, "
        "{last_test_loss:.2f}, is held up too, and the test labels are right.",
        "scheduler stepped each batch": "Nothing is frozen: the accuracy climbs to the end. Only "
        "the loss has a floor.",
    },
)
def softmax_applied_twice(recipe: Recipe) -> None:
    recipe.model.out = nn.Sequential(recipe.model.out, nn.Softmax(dim=1))


@illness(
    patient="F",
    name="evaluated in training mode",
    first_sight=WELL,
    picture="accuracy",
    shows="two counts of the same test images with the same weights that differ",
    signs=("learns", "counts differ"),
    cure="Call model.eval() before the test images, and model.train() after them.",
    cured="recipe.model.fc.append(nn.Dropout(0.5))  # and recipe.eval_mode stays True",
    confused_with={
        "healthy": "The test images are answered differently each time, by up to {recount:.1%}. A "
        "network that is only asked has no reason to throw dice.",
        "overfitting": "Training and test aren't far apart. What is wrong is the counting: it "
        "gives another number the second time.",
    },
)
def evaluated_in_training_mode(recipe: Recipe) -> None:
    recipe.model.fc.append(nn.Dropout(0.5))
    recipe.eval_mode = False


@illness(
    patient="C",
    name="test images prepared otherwise",
    first_sight=GAP,
    picture="batch",
    shows="test images that don't look like the training images: light on dark",
    signs=("perfect in training", "test images differ"),
    cure="Prepare both with one and the same function.",
    cured="pass  # the test images stay like the training images",
    confused_with={
        "overfitting": "An overfitted network still answers most test images; this one guesses, "
        "{test_accuracy:.0%}. Look at the two halves of the batch.",
    },
)
def test_images_prepared_otherwise(recipe: Recipe) -> None:
    recipe.test_images = 1 - recipe.test_images


@illness(
    patient="V",
    name="overfitting",
    first_sight=GAP,
    picture="accuracy",
    shows="every training image right, and a test accuracy that stopped rising long before",
    signs=("perfect in training", "gap"),
    without=("one class lost", "test images differ", "counts differ"),
    cure="More images, or varied ones; a smaller network; stop when the test loss is lowest.",
    cured="recipe.images, recipe.labels = recipe.images[:2000], recipe.labels[:2000]",
    confused_with={
        "test images prepared otherwise": "The two halves of the batch look alike, and "
        "{test_accuracy:.0%} of the test images is no guessing.",
        "one class nearly missing": "The errors are spread over all classes; the worst still has "
        "{worst_recall:.0%} right.",
        "healthy": "{train_accuracy:.0%} against {test_accuracy:.0%}: it knows its training images "
        "by heart.",
    },
)
def overfitting(recipe: Recipe) -> None:
    recipe.images, recipe.labels = recipe.images[:200], recipe.labels[:200]
    recipe.epochs = 50


@illness(
    patient="O",
    name="one class nearly missing",
    first_sight=GAP,
    picture="confusion",
    shows="one row whose images are answered as something else, all others in order",
    signs=("perfect in training", "one class lost"),
    cure="Get more images of it, draw them more often, or weight their loss.",
    cured="pass  # all the fours",
    confused_with={
        "overfitting": "Every class but {worst_class} is answered well. Overfitting doesn't "
        "choose.",
        "test images prepared otherwise": "Then all classes would suffer. It is {worst_class} "
        "alone, with {worst_recall:.0%} right.",
        "healthy": "{test_accuracy:.0%} looks well enough, but look at the row of {worst_class}.",
    },
)
def one_class_nearly_missing(recipe: Recipe) -> None:
    keep = (recipe.labels != 4) | (torch.rand(len(recipe.labels)) < 0.02)
    recipe.images, recipe.labels = recipe.images[keep], recipe.labels[keep]


@illness(
    patient="K",
    name="weight decay far too large",
    first_sight=STUCK,
    picture="weights",
    shows="histograms that shrink to a line at 0",
    signs=("guessing", "weights collapse"),
    without=("pixels too large",),
    cure="Divide it by a thousand: 0.0005 is common with this optimizer, 0.5 is not.",
    cured="recipe.weight_decay = 0.0005",
    confused_with={
        "vanishing gradients": "At step 0 they are well, {depth_ratio:.1g} from the last layer to "
        "the first. They vanish later, because the weights do.",
        "learning rate too high": "No unit is killed by a leap: the weights shrink step by step, "
        "to {shrunk_to:.0e} of their spread.",
        "dead ReLUs": "The layer with most silent units had {silent_first:.0%} of them at step 0. "
        "The weights went first.",
    },
)
def weight_decay_far_too_large(recipe: Recipe) -> None:
    recipe.weight_decay = 0.5


@illness(
    patient="I",
    name="scheduler stepped each batch",
    first_sight=SLOW,
    picture="weights",
    shows="histograms that move at first and are frozen from then on, while gradients stay large",
    signs=("weights freeze",),
    without=("perfect in training",),
    cure="Move scheduler.step() out of the inner loop, behind the epoch.",
    cured='recipe.schedule_each = "epoch"',
    confused_with={
        "learning rate too low": "In the first steps it learned as fast as a healthy one. Then the "
        "weights froze; a low rate never stops.",
        "softmax applied twice": "The accuracy, {test_accuracy:.0%}, is as low as the loss is "
        "high; a floor would leave the answers right. Here everything stands still.",
        "optimizer holds another network": "The weights did move in the first steps.",
    },
)
def scheduler_stepped_each_batch(recipe: Recipe) -> None:
    recipe.schedule_each = "batch"


ILLNESSES.sort(key=lambda entry: entry.patient)


def ill_recipe(illness: Illness, seed: int = 0) -> Recipe:
    """A healthy recipe with the one change that makes it ill."""
    recipe = Recipe(seed)
    illness.change(recipe)
    return recipe


def cured_recipe(illness: Illness, seed: int = 0) -> Recipe:
    """The same recipe with ``illness.cured`` in place of that change."""
    recipe = Recipe(seed)
    # A line of code, since it is what a reader types; it comes from the list above.
    exec(illness.cured, globals() | {"recipe": recipe})
    return recipe
