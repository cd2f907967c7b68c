"""hiddenlayer's History and Canvas, mended: a picture that is redrawn while a network learns.

The interface is that of hiddenlayer 0.3 (https://github.com/waleedka/hiddenlayer); the classes
here subclass its own and leave them as they are. Import them as
``from helpers import hiddenlayer as hl``.
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
from matplotlib.figure import Figure

# Distinct to readers with any of the common kinds of colour blindness; Okabe and Ito, 2008.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000")
DASHES = ("-", "--", "-.", ":", (0, (5, 1)))
MARKERS = ("o", "s", "^", "D", "v")


class Metric(hiddenlayer.history.Metric):
    """One metric of a History: its ``name``, the ``steps`` at which it was logged, its ``data``.

    ``data`` has one entry a step, in the order of the steps: (S,) for numbers, (S, ...) for
    arrays.

    Raises KeyError if nothing of that name was logged, ValueError if the shape changed.
    """

    def __init__(self, history: "History", name: str) -> None:
        self.name = name
        self.steps = [step for step in history.steps if name in history.history[step]]
        if not self.steps:
            names = ", ".join(sorted(history.metrics)) or "nothing yet"
            raise KeyError(f"no metric {name!r} was logged; logged so far: {names}")
        values = [history.history[step][name] for step in self.steps]
        shapes = {np.shape(value) for value in values}
        if len(shapes) > 1:
            raise ValueError(f"{name} was logged in several shapes: {sorted(shapes)}")
        self.data = np.array(values)


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
    at each redraw. What the cell prints stays: above the picture if it was printed before the
    first one, else below. In a script only ``save`` shows the picture. A subclass may add
    panels: a method whose name begins with ``draw_`` and that draws on ``self.ax``, matplotlib
    Axes.

    ``figure`` is the matplotlib Figure and ``png`` the picture that was shown last, as bytes of
    a PNG file; ``redraws`` counts the pictures. ``theme`` holds the width of the figure and the
    height of a panel in inches; with 100 dots an inch, three panels fit a laptop's screen.
    """

    def __init__(self) -> None:
        super().__init__()
        self.theme = {"fig_width": 9, "panel_height": 1.7}
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
        # Fast compression: the picture is short-lived, and a smaller one takes a sixth longer.
        self.figure.savefig(buffer, format="png", pil_kwargs={"compress_level": 1})
        self.png = buffer.getvalue()
        self.redraws += 1
        self._show()

    def _draw(self, calls: list) -> None:
        panels = [call for call in calls if call[0] != "draw_summary"]
        head = [call for call in calls if call[0] == "draw_summary"]
        width, height = self.theme["fig_width"], self.theme["panel_height"]
        # Inches: a fixed margin costs nothing, where tight_layout draws everything twice.
        above, below, gap = 0.35 + 0.55 * bool(head), 0.55, 0.8
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
            right=1 - 0.75 / width,
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
        titles = "; ".join(ax.get_title() for ax in self.figure.axes if ax.get_title())
        picture = Image(self.png, format="png", alt=f"Canvas: {titles}")
        # An update is drawn in place. Clearing the output first would take along what the cell
        # printed, and would let the page jump.
        if self._shown_in == shell.execution_count:
            self._handle.update(picture)
        else:
            self._handle = display(picture, display_id=True)
            self._shown_in = shell.execution_count

    def save(self, file_name: Path | str) -> None:
        """Save the last picture; the ending of the name chooses the format (png, pdf, svg).

        Raises ValueError if nothing has been drawn.
        """
        if not self.redraws:
            raise ValueError("the canvas is empty: draw on it before you save it")
        self.figure.savefig(file_name)

    def draw_summary(self, history: History, title: str = "") -> None:
        """A line above the panels: the last step and the time from the first to the last."""
        if not history.steps:
            raise ValueError("nothing was logged in this history, so there is nothing to sum up")
        time = str(history.get_total_time()).split(".")[0]
        line = f"step {format_step(history.step)}, {time} (h:mm:ss) since the first entry"
        self.figure.suptitle(f"{title}\n{line}" if title else line, y=0.99, va="top")

    def draw_plot(
        self,
        metrics: Metric | Sequence[Metric],
        labels: Sequence[str] | None = None,
        ylabel: str = "",
        title: str | None = None,
    ) -> None:
        """A line for each metric over its steps; unless given, the title is the last values.

        Steps that are tuples stand side by side in their order, evenly spaced.
        """
        metrics = list(metrics) if isinstance(metrics, Sequence) else [metrics]
        labels = labels or [metric.name for metric in metrics]
        for metric in metrics:
            if metric.data.ndim != 1:
                raise ValueError(f"draw_plot needs numbers; {metric.name} is {_shape(metric)}")
        if title is None:
            pairs = zip(labels, metrics, strict=True)
            title = "   ".join(f"{label}: {metric.data[-1]:.4g}" for label, metric in pairs)
        steps = sorted({step for metric in metrics for step in metric.steps})
        in_epochs = isinstance(steps[0], tuple)
        place = {step: i if in_epochs else step for i, step in enumerate(steps)}
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
            shown = steps[:: -(-len(steps) // 12)]
            self.ax.set_xticks([place[step] for step in shown], map(format_step, shown))
        self.ax.set(title=title, xlabel=_axis_name(steps), ylabel=ylabel)
        self.ax.grid(alpha=0.3)
        if len(metrics) > 1:
            self.ax.legend()

    def draw_image(self, metric: Metric, limit: int = 5) -> None:
        """The metric's last ``limit`` images, (height, width), side by side on one colour scale.

        Where there are negative values, white is 0, and the scale reaches as far below it as
        above. Values that aren't finite are left blank.
        """
        if metric.data.ndim != 3:
            raise ValueError(f"draw_image needs (height, width); {metric.name} is {_shape(metric)}")
        images, steps = metric.data[-limit:], metric.steps[-limit:]
        height, width = images.shape[1:]
        finite = images[np.isfinite(images)]
        low, high = finite.min(initial=0), finite.max(initial=0)
        if low < 0:
            low, high = -max(-low, high), max(-low, high)
        gap = max(width // 20, 1)
        strip = np.full((height, len(images) * (width + gap) - gap), np.nan)
        starts = range(0, strip.shape[1], width + gap)
        for start, image in zip(starts, images, strict=True):
            strip[:, start : start + width] = np.where(np.isfinite(image), image, np.nan)
        colors = "RdBu_r" if low < 0 else "viridis"
        drawn = self.ax.imshow(strip, colors, vmin=low, vmax=high, interpolation="nearest")
        panel = self.ax.get_window_extent()
        unit = 12 / min(panel.width, panel.height * strip.shape[1] / height)  # 12 dots
        self.figure.colorbar(drawn, cax=self.ax.inset_axes([1 + unit, 0, unit, 1]))
        labels = [f"step {format_step(step)}" for step in steps]
        self.ax.set_xticks([start + (width - 1) / 2 for start in starts], labels)
        self.ax.set_yticks([])
        self.ax.tick_params(length=0)
        self.ax.set_frame_on(False)
        self.ax.set_title(f"{metric.name}, {height} x {width}")

    def draw_hist(self, metric: Metric, title: str = "", limit: int = 10, bins: int = 40) -> None:
        """How the metric's values are distributed at each of its last steps, newest in front.

        All steps share their ``bins``, so that shapes can be compared. A ridge's height above
        its baseline is the number of values in a bin; the title says how many the highest has.
        Values that aren't finite aren't counted; the title says how many there are.
        """
        data, steps = metric.data[-limit:].reshape(-1, metric.data[0].size), metric.steps[-limit:]
        finite = np.isfinite(data)
        edges = np.histogram_bin_edges(data[finite], bins)
        counts = [np.histogram(row, edges)[0] for row in data]  # which leaves out what isn't finite
        highest = max(map(max, counts))
        baselines = 0.4 * max(highest, 1) * np.arange(len(data))[::-1]
        for order, (count, baseline) in enumerate(zip(counts, baselines, strict=True)):
            self.ax.stairs(
                baseline + count,
                edges,
                baseline=baseline,
                fill=True,
                facecolor="#9EC5E3",
                edgecolor="#08306B",
                linewidth=1,
                zorder=order + 1,
            )
        self.ax.set_yticks(baselines, map(format_step, steps))
        self.ax.set_ylim(-0.03 * baselines[0] - 1)
        title = title or f"{metric.name}, {data.shape[1]:,} values, up to {highest:,} in a bin"
        if not finite.all():
            title += f", {np.count_nonzero(~finite):,} not finite"
        self.ax.set(title=title, xlabel="value", ylabel=_axis_name(steps))


def _axis_name(steps: Sequence[int | tuple[int, int]]) -> str:
    return "epoch:step" if isinstance(steps[0], tuple) else "step"


def _shape(metric: Metric) -> str:
    return f"of shape {metric.data.shape[1:]}" if metric.data.ndim > 1 else "a number"
