"""hiddenlayer's History and Canvas, mended: a picture that is redrawn while a network learns.

The interface is that of hiddenlayer 0.3 (https://github.com/waleedka/hiddenlayer); the classes
here subclass its own. Import them as ``from helpers import hiddenlayer as hl``.
"""

import io
from collections.abc import Sequence
from pathlib import Path

import hiddenlayer.canvas
import hiddenlayer.history
import numpy as np
from hiddenlayer.history import format_step
from IPython import get_ipython
from IPython.display import Image, display
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Distinct to readers with any of the common kinds of colour blindness; Okabe and Ito, 2008.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000")
DASHES = ("-", "--", "-.", ":", (0, (5, 1)))
MARKERS = ("o", "s", "^", "D", "v")


class Metric(hiddenlayer.history.Metric):
    """One metric of a History: ``name``, the ``steps`` at which it was logged, the ``data``.

    ``data`` is an array with one entry a step, in the order of the steps: of shape (S,) for
    numbers, (S, ...) for arrays of one shape.

    Raises KeyError if nothing of that name was logged.
    """

    def __init__(self, history: "History", name: str) -> None:
        self.name = name
        self.steps = [step for step in history.steps if name in history.history[step]]
        if not self.steps:
            names = ", ".join(sorted(history.metrics)) or "nothing yet"
            raise KeyError(f"no metric {name!r} was logged; logged so far: {names}")
        self.data = np.array([history.history[step][name] for step in self.steps])


class History(hiddenlayer.history.History):
    """What was logged at each step: ``log(step, loss=..., accuracy=...)``.

    A step is an int, or a tuple (epoch, step in the epoch). A value is a number, an array or a
    tensor, of which a copy is kept. ``history["loss"]`` is a ``Metric``; a metric needn't be
    logged at every step. ``save`` and ``load`` use pickle, which can run any code: load only
    files that you wrote yourself.
    """

    def log(self, step: int | tuple[int, int], **metrics: object) -> None:
        # hiddenlayer copies tensors, but keeps an array itself, in which later changes would show.
        copies = {name: v.copy() if isinstance(v, np.ndarray) else v for name, v in metrics.items()}
        super().log(step, **copies)

    def __getitem__(self, name: str) -> Metric:
        return Metric(self, name)


class Canvas(hiddenlayer.canvas.Canvas):
    """A picture of stacked panels, one ``draw_`` call each.

    Inside ``with canvas:`` the calls are collected, and the picture is redrawn at the end; an
    empty block draws nothing. In a notebook the picture appears below the cell and is replaced
    at each redraw; in a script only ``save`` shows it. A subclass may add panels: a method
    whose name begins with ``draw_`` and that draws on ``self.ax``, matplotlib Axes.

    ``figure`` is the matplotlib Figure and ``png`` the picture that was shown last, as bytes of
    a PNG file; ``redraws`` counts the pictures. ``theme["fig_width"]`` is the width in inches;
    at 100 dots an inch the default is as wide as a notebook's page.
    """

    def __init__(self) -> None:
        super().__init__()
        self.theme = {"fig_width": 9, "panel_height": 2.5}
        self.figure = None
        self.png = b""
        self.redraws = 0
        self._shown_in = None
        self._handle = None

    def __exit__(self, *exception: object) -> None:
        if exception[0] is None and self.drawing_calls:
            self.render()
        self.drawing_calls, self._context = [], None

    def render(self) -> None:
        """Draw the collected calls and show the picture. Called for you."""
        self._context = "run"
        try:
            with rc_context({"axes.titley": 1.0}):  # a fixed place needs no search for one
                self._draw(self.drawing_calls)
        finally:
            self.ax = self.gs = self._context = None
            self.drawing_calls = []
        buffer = io.BytesIO()
        # Fast compression: the picture is short-lived, and half the time went into its size.
        self.figure.savefig(buffer, format="png", pil_kwargs={"compress_level": 1})
        self.png = buffer.getvalue()
        self.redraws += 1
        self._show()

    def _draw(self, calls: list) -> None:
        panels = [call for call in calls if call[0] != "draw_summary"]
        head = [call for call in calls if call[0] == "draw_summary"]
        width, height = self.theme["fig_width"], self.theme["panel_height"]
        # Inches: a fixed margin costs nothing, where tight_layout draws everything twice.
        above, below, gap = 0.35 + 0.55 * bool(head), 0.6, 0.95
        total = above + len(panels) * height + max(len(panels) - 1, 0) * gap + below
        self.figure = Figure((width, total), dpi=100)  # quicker than clearing the one before
        for name, arguments, options in head:
            getattr(self, name)(*arguments, **options)
        if not panels:
            return
        grid = self.figure.add_gridspec(
            len(panels),
            hspace=gap / height,
            left=0.8 / width,
            right=1 - 0.25 / width,
            top=1 - above / total,
            bottom=below / total,
        )
        for cell, (name, arguments, options) in zip(grid, panels, strict=True):
            self.gs, self.ax = cell, self.figure.add_subplot(cell)
            getattr(self, name)(*arguments, **options)

    def _show(self) -> None:
        """Show the picture below the running cell, in place of the one before."""
        shell = get_ipython()
        if shell is None or not hasattr(shell, "kernel"):
            return
        picture = Image(self.png, format="png", alt=f"Canvas, {self._titles()}")
        if self._shown_in == shell.execution_count:
            self._handle.update(picture)
        else:
            self._handle = display(picture, display_id=True)
            self._shown_in = shell.execution_count

    def _titles(self) -> str:
        return "; ".join(ax.get_title() for ax in self.figure.axes if ax.get_title())

    def save(self, file_name: Path | str) -> None:
        """Save the last picture; the ending of the name chooses the format (png, pdf, svg)."""
        if not self.redraws:
            raise ValueError("the canvas is empty: draw on it before you save it")
        self.figure.savefig(file_name)

    def draw_summary(self, history: History, title: str = "") -> None:
        """A line above the panels: the last step and the time from the first to the last."""
        time = str(history.get_total_time()).split(".")[0]
        line = f"step {format_step(history.step)}, {time} (h:mm:ss)"
        self.figure.suptitle(f"{title}\n{line}" if title else line, y=0.99)

    def draw_plot(
        self,
        metrics: Metric | Sequence[Metric],
        labels: Sequence[str] | None = None,
        ylabel: str = "",
        title: str | None = None,
    ) -> None:
        """A line for each metric over its steps; the title gives the last values."""
        metrics = [metrics] if isinstance(metrics, Metric) else list(metrics)
        labels = labels or [metric.name for metric in metrics]
        values = [
            f"{label}: {metric.data[-1]:.4g}" for label, metric in zip(labels, metrics, strict=True)
        ]
        ticks = sorted({step for metric in metrics for step in metric.steps})
        in_epochs = isinstance(ticks[0], tuple)
        place = {step: i if in_epochs else step for i, step in enumerate(ticks)}
        for i, (metric, label) in enumerate(zip(metrics, labels, strict=True)):
            self.ax.plot(
                [place[step] for step in metric.steps],
                metric.data,
                color=COLORS[i % 5],
                linestyle=DASHES[i % 5],
                marker=MARKERS[i % 5],
                markersize=4,
                label=label,
            )
        if in_epochs:  # no more tick labels than fit
            shown = ticks[:: -(-len(ticks) // 12)]
            self.ax.set_xticks([place[step] for step in shown], map(format_step, shown))
        self.ax.set(
            title="   ".join(values) if title is None else title,
            xlabel="epoch:step" if in_epochs else "step",
            ylabel=ylabel,
        )
        self.ax.grid(alpha=0.3)
        if len(metrics) > 1:
            self.ax.legend()

    def draw_image(self, metric: Metric, limit: int = 5) -> None:
        """The metric's last images side by side, (height, width), all on one colour scale."""
        if metric.data.ndim != 3:
            shape = metric.data.shape[1:]
            raise ValueError(f"draw_image needs images (height, width); {metric.name} is {shape}")
        images, steps = metric.data[-limit:], metric.steps[-limit:]
        height, width = images.shape[1:]
        low, high = images.min(), images.max()
        gap = max(width // 20, 1)
        strip = np.full((height, len(images) * (width + gap) - gap), np.nan)
        starts = range(0, strip.shape[1], width + gap)
        for start, image in zip(starts, images, strict=True):
            strip[:, start : start + width] = image
        self.ax.imshow(strip, vmin=low, vmax=high, interpolation="nearest", aspect="auto")
        labels = [f"step {format_step(step)}" for step in steps]
        self.ax.set_xticks([start + width / 2 for start in starts], labels)
        self.ax.set_yticks([])
        self.ax.tick_params(length=0)
        self.ax.set_frame_on(False)
        self.ax.set_title(
            f"{metric.name}, {height} x {width}, from {low:.3g} (dark) to {high:.3g} (bright)"
        )

    def draw_hist(self, metric: Metric, title: str = "", limit: int = 10, bins: int = 40) -> None:
        """How the metric's values are distributed at each of its last steps, newest in front.

        All steps share their ``bins``, so that shapes can be compared. A ridge's height above
        its baseline is the number of values in a bin.
        """
        data, steps = metric.data[-limit:].reshape(-1, metric.data[0].size), metric.steps[-limit:]
        edges = np.histogram_bin_edges(data, bins)
        counts = [np.histogram(row, edges)[0] for row in data]
        spacing = 0.4 * max(map(max, counts))
        baselines = spacing * np.arange(len(data))[::-1]
        for i, (count, baseline) in enumerate(zip(counts, baselines, strict=True)):
            _ridge(self.ax, count, edges, baseline, i)
        self.ax.set_yticks(baselines, map(format_step, steps))
        self.ax.set_ylim(
            -0.1 * spacing, max(b + max(c) for b, c in zip(baselines, counts, strict=True)) * 1.03
        )
        in_epochs = isinstance(steps[0], tuple)
        self.ax.set(
            title=title or f"{metric.name}, {data.shape[1]:,} values",
            xlabel="value",
            ylabel="epoch:step" if in_epochs else "step",
        )


def _ridge(ax: Axes, count: np.ndarray, edges: np.ndarray, baseline: float, order: int) -> None:
    """One histogram of a ridge plot, drawn in front of those of lower order."""
    ax.stairs(
        baseline + count, edges, baseline=baseline, fill=True, color="#9EC5E3", zorder=2 * order
    )
    ax.stairs(baseline + count, edges, baseline=baseline, color="#08306B", zorder=2 * order + 1)
