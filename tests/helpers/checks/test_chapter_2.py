"""The checks of chapter 2. The runs are made up, but for those of forty steps."""

import pytest
import torch
from tensorboardX import SummaryWriter
from torch import nn
from torch.utils.data import TensorDataset

from helpers.checks.chapter_2 import check_2_1, check_2_2, check_2_3, check_2_4, check_2_5
from helpers.data import load_dataset
from helpers.model import ConvNet
from tests.chapters import plain
from tests.helpers.checks.case import Case, said

SEED = 3
DATA = load_dataset()
IMAGES, LABELS = (tensor[:32] for tensor in DATA.train.tensors)


def strength(measure, backward=1):
    torch.manual_seed(SEED)
    model = ConvNet()
    for _ in range(backward):
        nn.functional.cross_entropy(model(IMAGES), LABELS).backward()
    return {n: measure(p.grad, p) for n, p in model.named_parameters() if n.endswith("weight")}


def rms(gradient, _=None):
    return gradient.square().mean().sqrt()


SMALL = DATA._replace(test=TensorDataset(*DATA.test[:200]))


def forty(rate, seed):
    """What 40 steps come to on the first 200 test images, by a loop of the tests' own."""
    model = plain.train(rate, seed, 40, batch_size=32).model
    return (model(SMALL.test.tensors[0]).argmax(1) == SMALL.test.tensors[1]).double().mean().item()


LOGITS = nn.functional.one_hot(torch.tensor([4, 4, 4, 9, 3, 5, 8, 0]), 10).float()
TRUTH = torch.tensor([9, 9, 9, 4, 8, 8, 8, 0])
"""A 9 is taken for a 4 three times; of the 8s two are wrong, each in its own way."""


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    with SummaryWriter(str(folder)) as writer:
        for entry, value in enumerate([0.1, 0.4, 0.87, 0.89, 0.92, 0.96]):
            writer.add_scalar("test/accuracy", value, 20 * entry + 20)
    return folder


CASES = [
    Case(
        check_2_1,
        strength(rms),
        {
            "These are norms": strength(lambda g, p: g.norm()),
            "which comes last": strength(lambda g, p: g.square().mean()),
            "not of squares": strength(lambda g, p: g.mean()),
            "own sizes": strength(lambda g, p: rms(p.detach())),
            "more than once": strength(rms, backward=2),
            "names end in weight": strength(rms) | {"out.bias": 1.0},
            "isn't among them": {"out.weight": 1.0},
            "Other numbers": dict.fromkeys(strength(rms), 0.5),
        },
        (IMAGES, LABELS, SEED),
    ),
    Case(
        check_2_2,
        None,
        {
            "That is a loss": 2.31,
            "as a share": 10.7,
            "has learned something": 0.18,
            "now and then": 0.04,
        },
        (SMALL,),
    ),
    Case(
        check_2_3,
        None,
        {
            "too few": {1: 0.5},
            "as shares": {1: 42, 2: 50, 5: 44},
            "had no effect": {1: 0.42, 2: 0.42, 5: 0.42},
        },
        (SMALL, 32, 3e-4),
    ),
    Case(
        check_2_4,
        60,
        {
            "place of the entry": 2,
            "at its best": 120,
            "There it reached 0.9": 100,
            "That is an accuracy": 0.87,
            "nothing was logged": 50,
            "still below": 20,
            "above it already": 80,
        },
        also_right=[60.0],
    ),
    Case(
        check_2_5,
        (9, 4),
        {
            "On the diagonal": (0, 0),
            "other way round": (4, 9),
            "happened 1 times": (8, 3),
            "from 0 to 9": (94, 3),
        },
        (TRUTH, LOGITS),
        also_right=[torch.tensor([9, 4])],
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_right_untouched_and_mistaken(case, run_dir):
    if case.check is check_2_2:
        case.right = forty(1.0, 1)
        case.also_right = [torch.tensor(forty(1.0, seed)) for seed in (2, 5)]
    if case.check is check_2_3:
        case.right = {seed: forty(3e-4, seed) for seed in (1, 2, 5)}
        for seed in case.right:  # whichever of them is wrong
            case.mistakes[f"With seed {seed}"] = case.right | {seed: case.right[seed] + 0.05}
    if case.check is check_2_4:
        case.more = (run_dir,)
    case.holds()


def test_a_class_that_goes_several_ways_is_told_apart_from_a_pair():
    truth = torch.tensor([9, 9, 8, 8, 8])
    logits = nn.functional.one_hot(torch.tensor([4, 4, 1, 2, 3]), 10).float()
    assert "go several ways" in said(check_2_5, (8, 1), truth, logits)
