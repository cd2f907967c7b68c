"""One training step of the ConvNet against what the machine's matrix multiplication could do.

python tests/benchmarks/step.py
"""

import time
from functools import partial

import torch
from machine import DATASET, describe_machine
from table import compare, print_rows
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from helpers.data import load_dataset, make_loader
from helpers.model import ConvNet, accuracy

STEPS = 20


def seconds(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


class Trainer:
    """A new ConvNet, and how it is to be trained."""

    def __init__(self, channels_last=False, fused=False, bfloat16=False):
        torch.manual_seed(0)
        layout = torch.channels_last if channels_last else torch.contiguous_format
        self.model = ConvNet().to(memory_format=layout)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=3e-4, fused=fused)
        self.bfloat16 = bfloat16

    def train(self, batches):
        for images, labels in batches:
            with torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat16):
                loss = nn.functional.cross_entropy(self.model(images), labels)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()


def rows(runs=9):
    data = load_dataset(DATASET.name)
    batches = [batch for batch, _ in zip(make_loader(data.train), range(STEPS), strict=False)]
    ways = {
        "contiguous": Trainer(),
        "channels-last": Trainer(channels_last=True),
        "channels-last, fused Adam (the chapter's)": Trainer(channels_last=True, fused=True),
        "channels-last, fused Adam, bfloat16": Trainer(True, True, True),
    }
    model = ways["channels-last, fused Adam (the chapter's)"].model
    with FlopCounterMode(display=False) as counter:
        ways["contiguous"].train(batches[:1])
    step_flops = counter.get_total_flops()
    size = 2048
    matrix = torch.randn(size, size)
    product_flops = 2 * size**3
    batch_sizes = (50, 125, 250, 1000)

    taken = {name: [] for name in ("product", *ways, *batch_sizes)}
    for way in ways.values():
        way.train(batches)
    for _ in range(runs):
        taken["product"].append(seconds(lambda: matrix @ matrix) / product_flops * step_flops)
        for name, way in ways.items():
            taken[name].append(seconds(partial(way.train, batches)) / STEPS)
        for size in batch_sizes:
            taken[size].append(seconds(partial(accuracy, model, data.test, size)))

    for name in ways:
        against = f"its {step_flops / 1e9:.2f} GFLOP as one matrix product"
        yield compare(f"a step, {name}", against, taken[name], taken["product"])
    for size in batch_sizes:
        if size != 125:
            what = f"accuracy in batches of {size}"
            yield compare(what, "in batches of 125", taken[size], taken[125])


if __name__ == "__main__":
    print(describe_machine())
    print_rows(list(rows()))
