"""Training with the chapter's logging, the original's way, and bare: one child process each.

A fourth way is the chapter with accuracy counted on every test image each time, as the original
does; the chapter itself counts 2,000 of them as it goes.

python tests/benchmarks/training.py            # the table
python tests/benchmarks/training.py --child chapter --seed 0 ...   # one run, as JSON
"""

import argparse
import contextlib
import io
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import nbformat
import psutil
import torch
import torchvision
from machine import DATASET, describe_machine
from table import compare, print_rows
from torch import nn
from torchvision.transforms import ToTensor

ROOT = Path(__file__).resolve().parent.parent.parent
CHAPTER = ROOT / "notebooks" / "02_tensorboardx_training.ipynb"
IMPORTED_MB = psutil.Process().memory_info().rss / 2**20
"""What this process holds once torch and torchvision are imported, which no way can spare."""
PARTS = ("data", "evaluation", "scalars", "images", "histograms")


def watch(loop):
    """Seconds that the loop takes, and MB by which the process's peak rises above its start."""
    before = psutil.Process().memory_info().rss / 2**20
    start = time.perf_counter()
    loop()
    return time.perf_counter() - start, max(peak_mb() - before, 0)


def peak_mb():
    """The most memory this process ever held, in MB."""
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def chapter_cells(arguments, output_dir):
    """Run the chapter's cells up to its training loop; return the loop's source and names."""
    names = {"__name__": "chapter"}
    for cell in nbformat.read(CHAPTER, as_version=4).cells:
        if cell.cell_type != "code" or "plt.subplots" in cell.source:
            continue
        if "optimizer.step()" in cell.source:
            return cell.source, names
        exec(cell.source, names)
        if "parameters" in cell.metadata.get("tags", []):
            names |= vars(arguments) | {"output_dir": output_dir}
    raise SystemExit(f"{CHAPTER.name} has no cell with a training loop")


def chapter(arguments, output_dir, whole=False):
    """The chapter as it stands: its model, its loop's seconds, and the parts of them."""
    loop, names = chapter_cells(arguments, output_dir)
    if whole:
        names["some_test"] = names["data"].test
    parts = dict.fromkeys(PARTS, 0.0)

    def timed(part, function):
        def call(*positional, **named):
            start = time.perf_counter()
            result = function(*positional, **named)
            parts[part] += time.perf_counter() - start
            return result

        return call

    class Writer(names["SummaryWriter"]):
        """tensorboardX's, with a watch on each call."""

        def __init__(self, *positional):
            super().__init__(*positional)
            self.add_scalar = timed("scalars", self.add_scalar)
            self.add_image = timed("images", self.add_image)
            self.add_histogram = timed("histograms", self.add_histogram)

    class Loader:
        """The chapter's loader, with a watch on each batch."""

        def __init__(self, loader):
            self.loader = loader

        def __len__(self):
            return len(self.loader)

        def __iter__(self):
            following = timed("data", iter(self.loader).__next__)
            with contextlib.suppress(StopIteration):
                while True:
                    yield following()

    names["SummaryWriter"], names["loader"] = Writer, Loader(names["loader"])
    names["accuracy"] = timed("evaluation", names["accuracy"])
    names["make_grid"] = timed("images", names["make_grid"])
    seconds, training_mb = watch(lambda: exec(loop, names))
    return names["model"], {"seconds": seconds, "training MB": training_mb} | parts


def bare(arguments, output_dir):
    """The chapter's model, optimizer and batches, and nothing else."""
    _, names = chapter_cells(arguments, output_dir)
    torch.manual_seed(arguments.seed)
    model = names["ConvNet"]().to(memory_format=torch.channels_last)
    batches = list(names["loader"])
    optimizer = torch.optim.Adam(model.parameters(), lr=arguments.learning_rate, fused=True)
    loss_function = nn.CrossEntropyLoss()

    def loop():
        for _ in range(arguments.epochs):
            for images, labels in batches:
                loss = loss_function(model(images), labels)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()

    seconds, training_mb = watch(loop)
    return model, {"seconds": seconds, "training MB": training_mb}


def original(arguments, output_dir):
    """How the textbook's chapter trains and logs, mended only where it would stop.

    Two loader processes decode image by image; the loss is summed up with its graph; the whole
    test set goes through the model at once with autograd on; contiguous memory.
    """
    from tensorboardX import SummaryWriter

    from helpers.model import ConvNet

    root = as_torchvision_reads_it(Path(output_dir))
    dataset_class = DATASET.torchvision_class
    train = dataset_class(root, train=True, transform=ToTensor())
    test = dataset_class(root, train=False)
    test_images = test.data.float().unsqueeze(1) / 255
    torch.manual_seed(arguments.seed)
    model = ConvNet()
    optimizer = torch.optim.Adam(model.parameters(), lr=arguments.learning_rate)
    loss_function = nn.CrossEntropyLoss()
    writer = SummaryWriter(output_dir)
    loader = torch.utils.data.DataLoader(
        train, batch_size=arguments.batch_size, shuffle=True, num_workers=2
    )

    def loop():
        total, step = 0, 0
        for _ in range(arguments.epochs):
            for images, labels in loader:
                loss = loss_function(model(images), labels)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                total = total + loss
                step += 1
                if step % arguments.log_every == 0:
                    writer.add_scalar("train loss", total.item() / step, step)
                    answers = model(test_images).argmax(1)
                    share = (answers == test.targets).float().mean().item()
                    writer.add_scalar("test acc", share, step)
                    grid = torchvision.utils.make_grid(images, nrow=12)
                    writer.add_image("train image sample", grid, step)
                    for name, parameter in model.named_parameters():
                        writer.add_histogram(name, parameter.data.numpy(), step)

    seconds, training_mb = watch(loop)
    return model, {"seconds": seconds, "training MB": training_mb}


WAYS = {
    "chapter": chapter,
    "whole": partial(chapter, whole=True),
    "original": original,
    "bare": bare,
}


def as_torchvision_reads_it(folder):
    """The dataset's files, unpacked in torchvision's layout."""
    import gzip

    from helpers import data

    source = {"mnist-sample": data.SAMPLE_DIR, "fashion-mnist": data.DEBIAN_FASHION_DIR}
    raw = folder / DATASET.torchvision_class.__name__ / "raw"
    if DATASET.name == "mnist":
        return data.DATA_DIR
    raw.mkdir(parents=True)
    for path in source[DATASET.name].glob("*.gz"):
        (raw / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
    return folder


def child(arguments):
    """One run; what it took goes to stdout as JSON."""
    from helpers.data import load_dataset
    from helpers.model import accuracy

    way = WAYS[arguments.child]
    with tempfile.TemporaryDirectory() as output_dir, contextlib.redirect_stdout(io.StringIO()):
        model, figures = way(arguments, output_dir)
    figures["peak MB"] = peak_mb()
    figures["own MB"] = figures["peak MB"] - IMPORTED_MB
    figures["accuracy"] = accuracy(model, load_dataset(DATASET.name).test)
    print(json.dumps(figures))


def options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--child", choices=WAYS)
    parser.add_argument("--runs", type=int, default=5, help="runs of each way (default: 5)")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch_size", type=int, default=128)
    parser.add_argument("--learning_rate", type=float, default=3e-4)
    parser.add_argument("--log_every", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    return parser


def rows(epochs=5, runs=5):
    """Run the three ways in turn, each run with a seed of its own."""
    results = {way: [] for way in WAYS}
    for seed in range(runs):
        for way in WAYS:
            command = [sys.executable, __file__, "--child", way]
            command += ["--seed", str(seed), "--epochs", str(epochs)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            results[way].append(json.loads(done.stdout.splitlines()[-1]))

    def column(way, key):
        return [run[key] for run in results[way]]

    what = f"training chapter, {epochs} epochs of {DATASET.name}"
    way = "the original's way"
    yield compare(what, way, column("chapter", "seconds"), column("original", "seconds"), "<= 1/3")
    for key, label, target in (
        ("peak MB", "peak memory of the process", "<= 1/3"),
        ("own MB", "peak memory beyond importing torch and torchvision", "<= 1/3"),
        ("training MB", "peak memory beyond what the loop began with", ""),
    ):
        ours, theirs = column("chapter", key), column("original", key)
        yield compare(label, way, ours, theirs, target, "MB")
    ours, theirs = (
        [100 * value for value in column(way, "accuracy")] for way in ("chapter", "original")
    )
    off = statistics.mean(ours) - statistics.mean(theirs)
    row = compare("mean test accuracy", way, ours, theirs, "within 0.5 points")
    row.figures = f"{statistics.mean(ours):.2f} against {statistics.mean(theirs):.2f} %, {off:+.2f}"
    yield row
    seconds = column("chapter", "seconds")
    yield compare(what, "the bare steps", seconds, column("bare", "seconds"), "<= 1.15")
    for part in PARTS:
        yield compare(f"of these: {part}", "the chapter's loop", column("chapter", part), seconds)
    what = "the same, all test images at each log entry"
    for way, name in (("original", "the original's way"), ("bare", "the bare steps")):
        yield compare(what, name, column("whole", "seconds"), column(way, "seconds"))
    evaluation, seconds = column("whole", "evaluation"), column("whole", "seconds")
    yield compare("of these: evaluation", "its loop", evaluation, seconds)


if __name__ == "__main__":
    arguments = options().parse_args()
    if arguments.child:
        arguments.dataset = DATASET.name
        child(arguments)
    else:
        print(describe_machine())
        print_rows(list(rows(arguments.epochs, arguments.runs)))
