"""Training with the chapter's logging, the original's way, and bare: one child process each.

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
from pathlib import Path

import nbformat
import torch
import torchvision
from machine import DATASET, describe_machine
from torch import nn
from torchvision.transforms import ToTensor

ROOT = Path(__file__).resolve().parent.parent.parent
CHAPTER = ROOT / "notebooks" / "02_tensorboardx_training.ipynb"
WAYS = ("chapter", "original", "bare")


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


def chapter(arguments, output_dir):
    """The chapter as it stands. Returns the model and the seconds of its training loop."""
    loop, names = chapter_cells(arguments, output_dir)
    start = time.perf_counter()
    exec(loop, names)
    return names["model"], time.perf_counter() - start


def bare(arguments, output_dir):
    """The chapter's model, optimizer and batches, and nothing else."""
    _, names = chapter_cells(arguments, output_dir)
    model, loader = names["model"], names["loader"]
    batches = [batch for _ in range(arguments.epochs) for batch in loader]
    optimizer = torch.optim.Adam(model.parameters(), lr=arguments.learning_rate)
    loss_function = nn.CrossEntropyLoss()
    start = time.perf_counter()
    for images, labels in batches:
        loss = loss_function(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model, time.perf_counter() - start


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
    start = time.perf_counter()
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
    return model, time.perf_counter() - start


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

    way = {"chapter": chapter, "original": original, "bare": bare}[arguments.child]
    with tempfile.TemporaryDirectory() as output_dir, contextlib.redirect_stdout(io.StringIO()):
        model, seconds = way(arguments, output_dir)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    result = accuracy(model, load_dataset(DATASET.name).test)
    print(json.dumps({"seconds": seconds, "peak MB": peak, "accuracy": result}))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--child", choices=WAYS)
    parser.add_argument("--runs", type=int, default=5, help="runs of each way (default: 5)")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch_size", type=int, default=128)
    parser.add_argument("--learning_rate", type=float, default=3e-4)
    parser.add_argument("--log_every", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    arguments.dataset = DATASET.name
    if arguments.child:
        return child(arguments)

    print(describe_machine())
    print(f"{DATASET.name}, {arguments.epochs} epochs, {arguments.runs} runs of each in turn")
    results = {way: [] for way in WAYS}
    for seed in range(arguments.runs):
        for way in WAYS:
            command = [sys.executable, __file__, "--child", way, "--seed", str(seed)]
            for option in ("epochs", "batch_size", "learning_rate", "log_every"):
                command += [f"--{option}", str(getattr(arguments, option))]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            results[way].append(json.loads(done.stdout.splitlines()[-1]))
    middle = {
        way: {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        for way, runs in results.items()
    }
    print(f"{'':10}{'seconds':>10}{'peak MB':>10}{'accuracy':>10}{'time against bare':>20}")
    for way in WAYS:
        pairs = zip(results[way], results["bare"], strict=True)
        ratio = statistics.median(run["seconds"] / other["seconds"] for run, other in pairs)
        row = middle[way]
        mean = statistics.mean(run["accuracy"] for run in results[way])
        print(f"{way:10}{row['seconds']:10.1f}{row['peak MB']:10.0f}{mean:10.4f}{ratio:20.2f}")
    return None


if __name__ == "__main__":
    main()
