"""A canvas redraw against others that draw the same, and what drawing takes of the training.

python tests/benchmarks/canvas.py
"""

import contextlib
import io
import time
from pathlib import Path

import hiddenlayer
import matplotlib
import nbformat
import numpy as np
from machine import DATASET, describe_machine
from matplotlib.figure import Figure
from table import compare, print_rows

from helpers import hiddenlayer as hl

CHAPTER = Path(__file__).resolve().parents[2] / "notebooks" / "03_hiddenlayer_live_canvas.ipynb"


def filled(history):
    """A history as the chapter's is at its end: 15 entries of two numbers and a matrix."""
    rng = np.random.default_rng(0)
    for entry in range(15):
        matrix = rng.uniform(-0.1, 0.1, (64, 128)).astype(np.float32)
        step = (entry // 3 + 1, entry % 3 * 20 + 20)
        history.log(step, loss=2.3 / (entry + 1), share=1 - 0.9 / (entry + 1), matrix=matrix)
    return history


def on_canvas(history, canvas):
    with canvas:
        canvas.draw_plot(history["loss"])
        canvas.draw_plot(history["share"])
        canvas.draw_image(history["matrix"], limit=2)


def as_shipped(history, canvas):
    """hiddenlayer's own; its picture is then encoded, as a notebook's backend would."""
    on_canvas(history, canvas)
    canvas.figure.savefig(io.BytesIO(), format="png")


def by_hand(history):
    """The same lines and images with matplotlib alone, on a new figure of the same size."""
    figure = Figure((9, 7.6))
    grid = figure.add_gridspec(3, 2, hspace=0.47)
    for row, name in enumerate(("loss", "share")):
        ax = figure.add_subplot(grid[row, :])
        metric = history[name]
        ax.plot(metric.formatted_steps, metric.data, marker="o", markersize=4)
        ax.set(title=f"{name}: {metric.data[-1]:.4g}", xlabel="epoch:step")
        ax.grid(alpha=0.3)
    matrix = history["matrix"]
    images, steps = matrix.data[-2:], matrix.formatted_steps[-2:]
    axes = [figure.add_subplot(grid[2, column]) for column in range(2)]
    for ax, image, step in zip(axes, images, steps, strict=True):
        drawn = ax.imshow(image, "RdBu_r", vmin=images.min(), vmax=images.max())
        ax.set(title=step, xticks=[], yticks=[])
    figure.colorbar(drawn, ax=axes)
    figure.savefig(io.BytesIO(), format="png")


def redraws(runs):
    """Seconds of each redraw, three ways in turn."""
    history, their_history = filled(hl.History()), filled(hiddenlayer.History())
    canvas, their_canvas = hl.Canvas(), hiddenlayer.Canvas()
    ways = {
        "ours": lambda: on_canvas(history, canvas),
        "theirs": lambda: as_shipped(their_history, their_canvas),
        "by hand": lambda: by_hand(history),
    }
    seconds = {name: [] for name in ways}
    for _ in range(runs + 1):
        for name, draw in ways.items():
            start = time.perf_counter()
            draw()
            seconds[name].append(time.perf_counter() - start)
    return {name: times[1:] for name, times in seconds.items()}  # the first loads the fonts


def training(**parameters):
    """Seconds of the chapter's training loop, and those of them that went into drawing."""
    names = {}
    for cell in nbformat.read(CHAPTER, as_version=4).cells:
        if cell.cell_type == "code" and "optimizer.step()" in cell.source:
            return timed(cell.source, names)
        if cell.cell_type == "code" and "with canvas" not in cell.source:
            exec(cell.source.replace("new_run_dir(output_dir)", "None"), names)
            if "parameters" in cell.metadata.get("tags", []):
                names |= parameters
    raise SystemExit(f"{CHAPTER.name} has no cell with a training loop")


def timed(source, names):
    drawing, render = [], hl.Canvas.render

    def timed_render(canvas):
        start = time.perf_counter()
        render(canvas)
        drawing.append(time.perf_counter() - start)

    hl.Canvas.render = timed_render
    try:
        start = time.perf_counter()
        exec(source, names)
        return time.perf_counter() - start, sum(drawing)
    finally:
        hl.Canvas.render = render


def rows(runs=9, trainings=5):
    matplotlib.use("Agg")
    taken = redraws(runs)
    ours = taken["ours"]
    yield compare("a redraw of three panels", "0.15 s", ours, [0.15] * runs, "<= 1")
    yield compare("a redraw", "hiddenlayer's Canvas as shipped", ours, taken["theirs"])
    yield compare("a redraw", "matplotlib by hand", ours, taken["by hand"])
    settings = [("the chapter's log_every", {"dataset": "mnist-sample"})]
    if DATASET.name != "mnist-sample":
        full = {"dataset": DATASET.name, "log_every": 100, "epochs": 1}
        settings.append((f"{DATASET.name}, log_every 100", full))
    for words, parameters in settings:
        with contextlib.redirect_stdout(io.StringIO()):
            pairs = [training(**parameters) for _ in range(trainings)]
        loop, drawing = zip(*pairs, strict=True)
        yield compare(f"all redraws, {words}", "the loop with them", drawing, loop)


if __name__ == "__main__":
    print(describe_machine())
    print_rows(list(rows()))
