"""hiddenlayer's graph from a model: its cost beside torch.export alone, and how it grows.

python tests/benchmarks/graph_import.py
python tests/benchmarks/graph_import.py --child graph resnet50   # one run, as JSON
"""

import gc
import importlib.util
import json
import math
import resource
import subprocess
import sys
import time
from unittest import mock

import torch
import torchvision
from machine import describe_machine
from table import compare, print_rows
from torch import nn

from helpers import hiddenlayer as hl

MODELS = ("resnet50", "resnet101", "densenet121", "vit_b_16")
HAS_TORCHVIEW = importlib.util.find_spec("torchview") is not None
IMAGE = torch.zeros(1, 3, 224, 224)


def export(model):
    torch.export.export(model, (IMAGE,), strict=False)


def graph(model):
    hl.build_graph(model, IMAGE)


def torchview(model):
    from torchview import draw_graph

    draw_graph(model, input_size=tuple(IMAGE.shape), device="cpu")


WAYS = {"export": export, "graph": graph} | ({"torchview": torchview} if HAS_TORCHVIEW else {})


def child(way, name):
    """One way, in a process that has done it with a small model before; prints JSON."""
    model = torchvision.models.get_model(name, weights=None).eval()
    for follow in WAYS.values():
        follow(nn.Conv2d(3, 1, 1))
    start = time.perf_counter()
    WAYS[way](model)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"seconds": seconds, "peak": peak / 2**10}))


def in_children(name, runs):
    """What each way took, each run in a process of its own, in turn."""
    taken = {way: [] for way in WAYS}
    for _ in range(runs):
        for way in WAYS:
            command = [sys.executable, __file__, "--child", way, name]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            taken[way].append(json.loads(done.stdout.splitlines()[-1]))
    return taken


def chain(layers):
    pairs = [(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU()) for _ in range(layers // 2)]
    return nn.Sequential(*[layer for pair in pairs for layer in pair])


def growth(sizes, runs):
    """CPU seconds a layer, for chains of these lengths: torch.export, then our part."""
    image = torch.zeros(1, 4, 8, 8)
    taken = {part: {size: [] for size in sizes} for part in ("export", "ours")}
    models = {size: chain(size) for size in sizes}
    for _ in range(runs):
        for size, model in models.items():
            start = time.process_time()
            program = torch.export.export(model, (image,), strict=False)
            exported = time.process_time()
            # What export made is set aside, so that looking through it isn't counted as our part.
            gc.freeze()
            begun = time.process_time()
            with mock.patch.object(hl, "_export", return_value=program):
                hl.build_graph(model, image)
            done = time.process_time()
            taken["export"][size].append((exported - start) / size)
            taken["ours"][size].append((done - begun) / size)
            gc.unfreeze()
    return taken


def rows(runs=5, sizes=(100, 300, 1000, 3000)):
    if not HAS_TORCHVIEW:
        print("torchview isn't installed, so nothing is compared with it")
    for name in MODELS:
        taken = in_children(name, runs)
        column = {
            way: {key: [one[key] for one in results] for key in results[0]}
            for way, results in taken.items()
        }
        for other, words in (("export", "torch.export alone"), ("torchview", "torchview")):
            if other in column:
                ours, theirs = column["graph"], column[other]
                yield compare(f"graph of {name}", words, ours["seconds"], theirs["seconds"])
                what = f"graph of {name}, the process's peak memory"
                yield compare(what, words, ours["peak"], theirs["peak"], unit="MB")
    taken = growth(sizes, runs)
    for part, words in (("ours", "our part"), ("export", "torch.export")):
        for size in sizes[1:]:
            yield compare(
                f"{words}, CPU seconds a layer, {size:,} layers",
                f"{sizes[0]} layers",
                taken[part][size],
                taken[part][sizes[0]],
                f"<= {math.log(size) / math.log(sizes[0]):.2f}" if part == "ours" else "",
            )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    else:
        print(describe_machine())
        print_rows(list(rows()))
