"""hiddenlayer's graph from a model: its cost beside torchview and a bare run, and how it grows.

python tests/benchmarks/graph_import.py
python tests/benchmarks/graph_import.py --child graph resnet50   # one run, as JSON
"""

import importlib.util
import json
import math
import resource
import subprocess
import sys
import time

import torch
import torchvision
from machine import describe_machine
from table import compare, print_rows
from torch import nn
from torch.overrides import TorchFunctionMode

from helpers import hiddenlayer as hl

MODELS = ("resnet50", "resnet101", "densenet121", "vit_b_16")
HAS_TORCHVIEW = importlib.util.find_spec("torchview") is not None
IMAGE = torch.zeros(1, 3, 224, 224)


def graph(model):
    hl.build_graph(model, IMAGE)


class SeesAll(TorchFunctionMode):
    def __torch_function__(self, function, types, args=(), kwargs=None):
        return function(*args, **(kwargs or {}))


def bare(model):
    """One run on tensors without numbers, under a mode that sees all and notes nothing."""
    named = (*model.named_parameters(), *model.named_buffers())
    weights = {name: torch.empty_like(tensor, device="meta") for name, tensor in named}
    with torch.no_grad(), SeesAll():
        torch.func.functional_call(model, weights, torch.empty_like(IMAGE, device="meta"))


def torchview(model, device="cpu"):
    from torchview import draw_graph

    draw_graph(model, input_size=tuple(IMAGE.shape), device=device)


def torchview_meta(model):
    torchview(model, "meta")  # which moves the model there, for good


WAYS = {"graph": graph, "bare": bare}
if HAS_TORCHVIEW:
    WAYS |= {"torchview": torchview, "torchview_meta": torchview_meta}
OTHERS = {
    "bare": ("a bare run on the meta device", "<= 2"),
    "torchview": ("torchview", "<= 0.5"),
    "torchview_meta": ("torchview, on its meta device", "<= 0.5"),
}


def child(way, name):
    """One way, in a process that has done it with a small model before; prints JSON."""
    if way == "llama":
        print(json.dumps(llama()))
        return
    model = torchvision.models.get_model(name, weights=None).eval()
    WAYS[way](nn.Conv2d(3, 1, 1))
    WAYS[way](torchvision.models.resnet18().eval())  # what torch looks up at its first call
    start = time.process_time()
    WAYS[way](model)
    seconds = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"seconds": seconds, "peak": peak / 2**10}))


def in_children(name, runs):
    """What each way took, each run in a process of its own, in turn."""
    taken = {way: [] for way in WAYS}
    for _ in range(runs):
        for way in WAYS:
            taken[way].append(in_a_child(way, name))
    return taken


def in_a_child(way, name):
    command = [sys.executable, __file__, "--child", way, name]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


class Layer(nn.Module):
    """One of a language model of seven billion parameters."""

    def __init__(self, width=4096, inner=11008, heads=32):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.RMSNorm(width), nn.RMSNorm(width)
        self.q, self.k, self.v, self.o = (nn.Linear(width, width, bias=False) for _ in range(4))
        self.gate, self.up = (nn.Linear(width, inner, bias=False) for _ in range(2))
        self.down = nn.Linear(inner, width, bias=False)

    def turned(self, x, table):
        one, other = x.chunk(2, -1)
        return x * table.cos() + torch.cat([-other, one], -1) * table.sin()

    def forward(self, x, table):
        y = self.norm1(x)
        q, k, v = (
            part(y).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in (self.q, self.k, self.v)
        )
        q, k = self.turned(q, table), self.turned(k, table)
        y = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.o(y.transpose(1, 2).flatten(2))
        y = self.norm2(x)
        return x + self.down(nn.functional.silu(self.gate(y)) * self.up(y))


class Llama(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Embedding(32000, 4096), nn.Linear(4096, 32000, bias=False)
        self.layers = nn.ModuleList([Layer() for _ in range(32)])

    def forward(self, words):
        places = torch.arange(words.shape[1], device=words.device)[:, None]
        table = places / 10_000 ** (torch.arange(128, device=words.device) % 64 / 64)
        x = self.embed(words)
        for layer in self.layers:
            x = layer(x, table)
        return self.head(x)


def llama():
    """A model of seven billion parameters, without a byte of them."""
    hl.build_graph(nn.Linear(3, 3), torch.zeros(1, 3))
    with torch.device("meta"):
        model, words = Llama(), torch.zeros(1, 128, dtype=torch.int64)
    start = time.process_time()
    found = hl.build_graph(model, words, None, None)
    seconds = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    return {"seconds": seconds, "peak": peak, "nodes": len(found.nodes)}


def chain(layers):
    pairs = [(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU()) for _ in range(layers // 2)]
    return nn.Sequential(*[layer for pair in pairs for layer in pair])


def growth(sizes, runs):
    """CPU seconds a layer, for chains of these lengths."""
    image = torch.zeros(1, 4, 8, 8)
    taken = {size: [] for size in sizes}
    models = {size: chain(size) for size in sizes}
    hl.build_graph(models[sizes[0]], image)
    for _ in range(runs):
        for size, model in models.items():
            start = time.process_time()
            hl.build_graph(model, image)
            taken[size].append((time.process_time() - start) / size)
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
        ours = column["graph"]
        for other, (words, goal) in OTHERS.items():
            if other in column:
                theirs = column[other]
                what = f"graph of {name}, CPU seconds"
                yield compare(what, words, ours["seconds"], theirs["seconds"], goal)
                what = f"graph of {name}, the process's peak memory"
                yield compare(what, words, ours["peak"], theirs["peak"], unit="MB")
    large = [in_a_child("llama", "7B") for _ in range(runs)]
    what = f"graph of a 7B language model, {large[0]['nodes']:,} nodes"
    yield compare(what, "a second", [one["seconds"] for one in large], [1.0] * runs, "<= 1")
    peaks = [one["peak"] for one in large]
    yield compare(f"{what}, peak memory", "1 GB", peaks, [1024.0] * runs, "<= 1", unit="MB")
    taken = growth(sizes, runs)
    for size in sizes[1:]:
        yield compare(
            f"graph of a chain, CPU seconds a layer, {size:,} layers",
            f"{sizes[0]} layers",
            taken[size],
            taken[sizes[0]],
            f"<= {math.log(size) / math.log(sizes[0]):.2f}",
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    else:
        print(describe_machine())
        print_rows(list(rows()))
