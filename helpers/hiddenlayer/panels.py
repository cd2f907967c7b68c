"""The panels of a Canvas: what each of its ``draw_`` methods draws.

A panel is a function whose first argument is the canvas: it draws on ``canvas.ax``, matplotlib
Axes. To add one, write it here and give it a line in ``Canvas``.
"""

from collections.abc import Sequence

import hiddenlayer.canvas
import numpy as np

from helpers.hiddenlayer.history import History, Metric, format_step
from helpers.values import bin_edges, plain

# Distinct to readers with any of the common kinds of colour blindness; Okabe and Ito, 2008.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000")
DASHES = ("-", "--", "-.", ":", (0, (5, 1)))
MARKERS = ("o", "s", "^", "D", "v")


def draw_summary(canvas: hiddenlayer.canvas.Canvas, history: History, title: str = "") -> None:
    """A line above the panels: the last step and the time from the first to the last."""
    if not history.steps:
        raise ValueError("nothing was logged in this history, so there is nothing to sum up")
    time = str(history.get_total_time()).split(".")[0]
    line = f"step {format_step(history.step)}, {time} (h:mm:ss) since the first entry"
    canvas.figure.suptitle(f"{title}\n{line}" if title else line, y=0.99, va="top")


def draw_plot(
    canvas: hiddenlayer.canvas.Canvas,
    metrics: Metric | Sequence[Metric],
    labels: Sequence[str] | None = None,
    ylabel: str = "",
    title: str | None = None,
) -> None:
    """A line for each metric over its steps; unless given, the title is the last values.

    Steps that are tuples stand side by side in their order, evenly spaced. NaN and infinity are
    a gap.
    """
    if isinstance(labels, Metric):
        raise TypeError("draw_plot takes several metrics as a list: draw_plot([one, other])")
    metrics = list(metrics) if isinstance(metrics, Sequence) else [metrics]
    labels = labels or [metric.name for metric in metrics]
    data = [_numbers("draw_plot", metric) for metric in metrics]
    for metric in metrics:
        if metric.data.ndim != 1:
            raise ValueError(f"draw_plot needs numbers; {metric.name} is {_shape(metric)}")
    if title is None:
        pairs = zip(labels, metrics, strict=True)
        title = "   ".join(f"{label}: {metric.data[-1]:.4g}" for label, metric in pairs)
    steps = sorted({step for metric in metrics for step in metric.steps})
    in_epochs = isinstance(steps[0], tuple)
    place = {step: i if in_epochs else step for i, step in enumerate(steps)}
    for i, (metric, values, label) in enumerate(zip(metrics, data, labels, strict=True)):
        canvas.ax.plot(
            [place[step] for step in metric.steps],
            np.where(np.isfinite(values), values, np.nan),
            color=COLORS[i % 5],
            linestyle=DASHES[i % 5],
            marker=MARKERS[i % 5],
            markersize=4,
            label=label,
        )
    if in_epochs:  # no more tick labels than fit
        shown = steps[:: -(-len(steps) // 12)]
        canvas.ax.set_xticks([place[step] for step in shown], map(format_step, shown))
    canvas.ax.set(title=title, xlabel=_axis_name(steps), ylabel=ylabel)
    canvas.ax.grid(alpha=0.3)
    if len(metrics) > 1:
        canvas.ax.legend()


def draw_image(canvas: hiddenlayer.canvas.Canvas, metric: Metric, limit: int = 5) -> None:
    """The metric's last ``limit`` images, (height, width), side by side on one colour scale.

    Where there are negative values, white is 0, and the scale reaches as far below it as
    above. Values that aren't finite are left blank; an image without any others says so.
    """
    data = _numbers("draw_image", metric)
    if data.ndim != 3 or not data.size:
        raise ValueError(f"draw_image needs (height, width); {metric.name} is {_shape(metric)}")
    images, steps = data[-limit:], metric.steps[-limit:]
    height, width = images.shape[1:]
    finite = images[np.isfinite(images)]
    low, high = float(finite.min(initial=0)), float(finite.max(initial=0))
    if low < 0:
        low, high = -max(-low, high), max(-low, high)
    gap = max(width // 20, 1)
    strip = np.full((height, len(images) * (width + gap) - gap), np.nan)
    starts = range(0, strip.shape[1], width + gap)
    for start, image in zip(starts, images, strict=True):
        strip[:, start : start + width] = np.where(np.isfinite(image), image, np.nan)
    colors = "RdBu_r" if low < 0 else "viridis"
    drawn = canvas.ax.imshow(strip, colors, vmin=low, vmax=high, interpolation="nearest")
    panel = canvas.ax.get_window_extent()
    unit = 12 / min(panel.width, panel.height * strip.shape[1] / height)  # 12 dots
    canvas.figure.colorbar(drawn, cax=canvas.ax.inset_axes([1 + unit, 0, unit, 1]))
    labels = [
        f"step {format_step(step)}" + ("" if np.isfinite(image).any() else ", nothing finite")
        for step, image in zip(steps, images, strict=True)
    ]
    canvas.ax.set_xticks([start + (width - 1) / 2 for start in starts], labels)
    canvas.ax.set_yticks([])
    canvas.ax.tick_params(length=0)
    canvas.ax.set_frame_on(False)
    canvas.ax.set_title(f"{metric.name}, {height} x {width}")


def draw_hist(
    canvas: hiddenlayer.canvas.Canvas,
    metric: Metric,
    title: str = "",
    limit: int = 10,
    bins: int = 40,
) -> None:
    """How the metric's values are distributed at each of its last steps, newest in front.

    All steps share their ``bins``, so that shapes can be compared. A ridge's height above
    its baseline is the number of values in a bin; the title says how many the highest has.
    Values that aren't finite aren't counted; the title says how many there are.
    """
    data, steps = _numbers("draw_hist", metric)[-limit:], metric.steps[-limit:]
    data = data.reshape(len(data), data[0].size)
    finite = np.isfinite(data)
    edges = bin_edges(data[finite], bins)
    counts = [np.histogram(row, edges)[0] for row in data]  # which leaves out what isn't finite
    highest = max(map(max, counts))
    baselines = 0.4 * max(highest, 1) * np.arange(len(data))[::-1]
    for order, (count, baseline) in enumerate(zip(counts, baselines, strict=True)):
        canvas.ax.stairs(
            baseline + count,
            edges,
            baseline=baseline,
            fill=True,
            facecolor="#9EC5E3",
            edgecolor="#08306B",
            linewidth=1,
            zorder=order + 1,
        )
    canvas.ax.set_yticks(baselines, map(format_step, steps))
    canvas.ax.set_ylim(-0.03 * baselines[0] - 1)
    title = title or f"{metric.name}, {data.shape[1]:,} values, up to {highest:,} in a bin"
    if not finite.all():
        title += f", {np.count_nonzero(~finite):,} not finite"
    canvas.ax.set(title=title, xlabel="value", ylabel=_axis_name(steps))


def draw_predictions(
    canvas: hiddenlayer.canvas.Canvas,
    metric: Metric,
    images: object,
    labels: object,
    classes: Sequence[str],
) -> None:
    """Images in rows of eight, each under "answer (confidence), truth"; red and framed if wrong.

    The metric holds probabilities (N, classes), of which the last entry is drawn. ``images`` are
    N images (N, 1, height, width) in [0, 1], ``labels`` the N places of the truth in ``classes``;
    both may be tensors on any device.
    """
    images, labels = np.asarray(plain(images)), np.asarray(plain(labels))
    shares = _numbers("draw_predictions", metric)[-1]
    if shares.shape != (len(images), len(classes)) or labels.shape != (len(images),):
        raise ValueError(
            f"draw_predictions needs a row of {len(classes)} probabilities for each of "
            f"{len(images)} images and {labels.size} labels; {metric.name} is {_shape(metric)}"
        )
    height, width = images.shape[-2:]
    longest = max(map(len, classes))
    above = height * (3 if longest == 1 else 5) // 10  # room for a line of text, or for two
    rows = -(-len(images) // 8)
    paper = np.full((rows * (height + above), 8 * (width + width // 3)), np.nan)
    for number, (image, share, label) in enumerate(zip(images, shares, labels, strict=True)):
        top = number // 8 * (height + above) + above
        left = number % 8 * (width + width // 3) + width // 6
        paper[top : top + height, left : left + width] = image.reshape(height, width)
        answer = share.argmax()
        wrong = answer != label
        canvas.ax.text(
            left + width / 2,
            top - height // 10,
            f"{classes[answer]} ({share[answer]:.0%}),{' ' if longest == 1 else chr(10)}"
            f"{classes[label]}",
            color=COLORS[1] if wrong else "black",
            bbox={"facecolor": "none", "edgecolor": COLORS[1], "pad": 1.5} if wrong else None,
            fontsize=9,
            ha="center",
            va="bottom",
        )
    canvas.ax.imshow(paper, "gray_r", vmin=0, vmax=1, interpolation="nearest")
    canvas.ax.set_axis_off()
    right = (shares.argmax(1) == labels).sum()
    step = format_step(metric.steps[-1])
    canvas.ax.set_title(f"{metric.name} at step {step}: {right} of {len(images)} right")


def _numbers(method: str, metric: Metric) -> np.ndarray:
    """The metric's data, True as 1, and as good as infinite what no axis reaches (1e300).

    Raises ValueError if they aren't real numbers.
    """
    if metric.data.dtype.kind not in "biuf":
        raise ValueError(
            f"{method} draws real numbers; {metric.name} holds {metric.data.dtype}. Log the parts "
            "that you want to see: of a complex number, its real, imag or abs()"
        )
    if metric.data.dtype == bool:
        return metric.data.astype(int)
    if metric.data.dtype == float:
        return np.where(abs(metric.data) > 1e300, np.inf, metric.data)
    return metric.data


def _axis_name(steps: Sequence[int | tuple[int, int]]) -> str:
    return "epoch:step" if isinstance(steps[0], tuple) else "step"


def _shape(metric: Metric) -> str:
    return f"of shape {metric.data.shape[1:]}" if metric.data.ndim > 1 else "a number"
