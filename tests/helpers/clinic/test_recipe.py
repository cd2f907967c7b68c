"""The healthy recipe, and the training by it."""

import pytest
import torch

from helpers.clinic import Recipe, train
from tests.helpers.clinic.recipes import describe


@pytest.fixture
def short():
    """A healthy recipe of five steps."""
    recipe = Recipe(seed=1)
    recipe.images, recipe.labels = recipe.images[:200], recipe.labels[:200]
    recipe.epochs = 1
    return recipe


def test_a_recipe_is_the_same_for_the_same_seed():
    assert describe(Recipe(seed=1)) == describe(Recipe(seed=1))
    assert describe(Recipe(seed=1)) != describe(Recipe(seed=2))


def test_its_data_are_copies():
    """An illness that changes labels in place changes them for one patient."""
    Recipe().labels.zero_()
    assert Recipe().labels.any()


def weights(recipe):
    return torch.cat([p.detach().flatten() for p in recipe.model.parameters()])


def test_training_moves_the_weights_and_returns_the_chart(short, tmp_path):
    before = weights(short).clone()
    record = train(short, tmp_path / "X")
    assert record.name == "X"
    assert record.last_step == 5
    assert not torch.equal(weights(short), before)


def test_a_chart_is_not_overwritten(short, tmp_path):
    train(short, tmp_path)
    with pytest.raises(FileExistsError, match="another folder"):
        train(short, tmp_path)


def test_gradients_are_the_sum_of_all_if_they_are_never_set_to_zero(short, tmp_path):
    short.learning_rate = 0.0
    short.zero_grad = False
    norms = train(short, tmp_path).scalars["gradient/out"][1]
    assert norms[3] > 2 * norms[0]


def test_a_scheduler_stepped_each_batch_shrinks_the_steps(tmp_path):
    ways = {}
    for each in ("epoch", "batch"):
        recipe = Recipe(seed=1)
        recipe.images, recipe.labels = recipe.images[:400], recipe.labels[:400]
        recipe.epochs, recipe.momentum, recipe.schedule_each = 1, 0.0, each
        before = weights(recipe).clone()
        train(recipe, tmp_path / each)
        ways[each] = (weights(recipe) - before).norm()
    assert ways["batch"] < 0.7 * ways["epoch"]
