"""The checks of chapter 1: what the pictures of a network say."""

import copy
from collections import Counter
from itertools import accumulate

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from helpers.checks.answers import NotYet, check
from helpers.model import ConvNet

IMAGE = torch.zeros(1, 1, 28, 28)


@check('the title of a box, such as "Linear"')
def check_1_1(box: str) -> str:
    """Whether ``box`` is what stands between the ConvNet's modules at depth 1."""
    title, model = box.strip().lower(), ConvNet()
    own = dict(model.named_children())
    named = {*own, *(f"{type(part).__name__} {name}" for name, part in own.items())}
    named |= {type(part).__name__ for part in own.values()}
    if title == "flatten":
        return "It belongs to none of the modules: the ConvNet's own forward calls the function."
    if title in {name.lower() for name in named}:
        raise NotYet("That box has a module's name. Look for one with nothing below its title.")
    if title in {type(part).__name__.lower() for part in model.modules()} - {"convnet"}:
        raise NotYet("That is a layer inside one of the modules: did you draw with depth=1?")
    if title.startswith(("x.", "view", "reshape", "flatten(")):
        raise NotYet("That is how the code calls it. Which title does the picture give it?")
    raise NotYet("No box has this title. Print node.title for each of graph.nodes.values().")


def operations(model: nn.Module) -> Counter:
    """How many of each grey box the autograd graph of one image has: {name: number}."""
    seen, ahead = set(), [model(IMAGE).grad_fn]
    while ahead:
        if (node := ahead.pop()) and node not in seen:
            seen.add(node)
            ahead += [before for before, _ in node.next_functions]
    return Counter(node.name().rpartition("::")[2] for node in seen)


@check('a dictionary: {"ReluBackward0": 2} if two of these are gone')
def check_1_2(gone: dict[str, int]) -> str:
    """Whether these grey boxes go when ``conv1`` is frozen; AccumulateGrad may be left out."""
    frozen = ConvNet()
    before = operations(frozen)
    frozen.conv1.requires_grad_(False)
    left = operations(frozen)
    said = {name: int(number) for name, number in dict(gone).items() if number}
    said.pop("AccumulateGrad", None)
    said = {n if n in before else f"{n}Backward0": number for n, number in said.items()}
    truth = dict(before - left)
    truth.pop("AccumulateGrad")
    if said == truth:
        return (
            "With no leaf above it, nothing of the first stage is worth differentiating, and "
            "what it puts out needn't be kept either."
        )
    if not said:
        raise NotYet(
            "Nothing but leaves is gone. Either nothing was frozen: what does "
            "print(frozen.conv1[0].weight.requires_grad) say? Or the image wants a gradient, as x "
            "does in the chapter's picture, and the way to it is still needed."
        )
    if said.keys() == before.keys() - left.keys():
        raise NotYet(
            "These have gone to the last one. Others were several boxes of the same name and are "
            "fewer now: compare how many there are, and not only which."
        )
    if said.items() < truth.items():
        raise NotYet(
            "These are gone, and more with them. Go up from the ones you have: does what is left "
            "above them still lead to a blue box?"
        )
    if all(left[name] == number for name, number in said.items()):
        raise NotYet("That is what is still there. Take it from what was there before.")
    raise NotYet("Count the boxes of one name in both pictures, before and after.")


@check("a list of whole numbers, from the first dense block to the last")
def check_1_3(channels: list[int]) -> str:
    """Whether these are the channels after each dense block and transition of DenseNet-121."""
    said = [int(number) for number in channels]
    # As the paper has it: each layer of a block adds 32 channels, each transition halves them.
    blocks, truth, now = (6, 12, 24, 16), [], 64
    for layers in blocks:
        truth += [now + 32 * layers, (now + 32 * layers) // 2]
        now = truth[-1]
    truth.pop()  # behind the last block there is no transition
    rows = [56, *accumulate([2, 1, 2, 1, 2, 1], lambda size, by: size // by, initial=56)][1:]
    if said == truth:
        return "Each dense block adds channels, and each transition halves them again."
    if said == rows:
        raise NotYet("These are rows. A shape is image, channel, row, column.")
    if said in (truth[0::2], truth[1::2]):
        raise NotYet("You have every second one: blocks and transitions take turns.")
    if len(said) > len(truth):
        raise NotYet(
            "There are too many. Some of the boxes are neither a dense block nor a transition."
        )
    raise NotYet("Take node.output_shape of the boxes at the depth that shows blocks by name.")


def cost(model: nn.Module) -> tuple[int, int]:
    """Parameters, and multiply-adds for one image."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(IMAGE)
    return sum(p.numel() for p in model.parameters()), counter.get_total_flops() // 2


class Averaged(ConvNet):
    """A ConvNet that averages each channel's map in place of flattening it."""

    def __init__(self) -> None:
        super().__init__()
        self.fc[0] = nn.Linear(32, 128)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.out(self.fc(self.conv2(self.conv1(images)).mean((2, 3))))


@check("two whole numbers: (parameters, multiply-adds)")
def check_1_4(costs: tuple[int, int]) -> str:
    """Whether these are the parameters and the multiply-adds of the averaging network."""
    said = tuple(int(number) for number in costs)
    truth = cost(Averaged())
    weights = sum(p.numel() for p in Averaged().parameters() if p.ndim > 1)
    if said == truth:
        return (
            "Of the parameters hardly a trace is left, of the multiply-adds nearly all: they were "
            "in different layers."
        )
    if said == truth[::-1]:
        raise NotYet("Parameters come first.")
    if said == tuple(np.subtract(cost(ConvNet()), truth)):
        raise NotYet("That is what is saved. How much is left?")
    if said == cost(ConvNet()):
        raise NotYet("That is the ConvNet as it was. Which layer takes fewer numbers now?")
    if said[1] == 2 * truth[1]:
        raise NotYet("PyTorch's counter counts a multiply-add as two operations.")
    if said == (weights, truth[1]):
        raise NotYet("The multiply-adds are right. A layer has more parameters than its weights.")
    if said[0] == truth[0]:
        raise NotYet(
            "The parameters are right. Multiply-adds are those of the layers with weights, for one "
            "image; fc.0 has a smaller weight now, for each output."
        )
    raise NotYet("Write down fc.0's new weight, inputs x outputs, and go through the table again.")


def field(stages: nn.Module, images: torch.Tensor) -> int:
    """How many pixels in a row the unit in the middle of the last map depends on."""
    model = copy.deepcopy(stages).double()
    for module in model.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.MaxPool2d):  # a maximum depends on all, the mean says so
                mean = nn.AvgPool2d(child.kernel_size, child.stride, child.padding)
                setattr(module, name, mean)
    for parameter in model.parameters():
        nn.init.ones_(parameter)
    images = images.double().requires_grad_()
    maps = model(images)
    maps[0, :, maps.shape[2] // 2, maps.shape[3] // 2].sum().backward()
    return int((images.grad[0, 0] != 0).any(0).sum())


@check("nn.Sequential(conv1, conv2): two stages that turn an image into 32 maps of 7x7")
def check_1_5(stages: nn.Module) -> str:
    """Whether these stages see 14 pixels or more, at no more parameters than the ConvNet's."""
    model = ConvNet()
    own = nn.Sequential(model.conv1, model.conv2)
    limit, parameters = (sum(p.numel() for p in part.parameters()) for part in (own, stages))
    with torch.no_grad():
        shape = tuple(stages(IMAGE).shape)
    sees = field(stages, torch.ones(1, 1, 28, 28))
    if shape != (1, 32, 7, 7):
        size = "x".join(map(str, shape[1:]))
        raise NotYet(
            f"What comes out is {size}, and fc expects 32x7x7. A kernel that reaches further "
            "needs more padding, and no other stride."
        )
    if sees < 14:
        raise NotYet(
            f"A unit sees {sees} pixels in a row; 14 are wanted. Which layer's steps are the "
            "longest, and how could its kernel reach further?"
        )
    if parameters > limit:
        raise NotYet(
            f"It sees {sees} pixels, but has {parameters:,} parameters, and {limit:,} are "
            "allowed. Can a kernel reach further without more weights?"
        )
    return f"A unit sees {sees} of the 28 pixels in a row now, for the same price."
