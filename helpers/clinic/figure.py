"""A chart as one figure: eight pictures, at the same places for every patient."""

import io
from collections.abc import Callable

import numpy as np
from IPython.display import Image
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image as Pillow

from helpers.clinic.chart import Record

TRAINING, TEST, GREY = "#0072B2", "#D55E00", "#666666"
SMALLEST, LARGEST = 1e-12, 1e12
"""What is drawn of losses and gradients: beyond, they are drawn at the edge."""


def draw_chart(record: Record, title: str | None = None) -> Figure:
    """Loss, accuracy, gradients and silent units over the steps; below them the weights, the sizes
    of the gradients, a batch, and which class was taken for which.

    Steps are spread out at the start, where much goes wrong. Where the loss isn't finite, the
    curves are shaded. Unless given, the title is "Patient" and the record's name.
    """
    figure = Figure((16, 7.4), dpi=80)
    figure.suptitle(title or f"Patient {record.name}", fontsize=16, fontweight="bold")
    # Fixed places: a layout that looks for room draws everything several times.
    places = {
        "left": 0.055,
        "right": 0.99,
        "bottom": 0.07,
        "top": 0.89,
        "wspace": 0.26,
        "hspace": 0.35,
    }
    (loss, accuracy, norms, silent), (weights, sizes, batch, confusion) = figure.subplots(
        2, 4, gridspec_kw=places
    )
    draw_loss(loss, record)
    draw_accuracy(accuracy, record)
    draw_gradient_norms(norms, record)
    draw_silent_units(silent, record)
    draw_weights(weights, record)
    draw_gradient_sizes(sizes, record)
    draw_batch(batch, record)
    draw_confusion(confusion, record)
    return figure


def draw_pair(draw: Callable[[Axes, Record], None], healthy: Record, sick: Record) -> Figure:
    """One picture, which one of this file's functions draws, of two charts side by side."""
    figure = Figure((10, 3.9), dpi=80)
    axes = figure.subplots(1, 2, gridspec_kw={"left": 0.08, "right": 0.97, "wspace": 0.24})
    figure.subplots_adjust(bottom=0.13, top=0.84)
    for ax, record in zip(axes, (healthy, sick), strict=True):
        draw(ax, record)
        ax.set_title(f"{record.name}\n{ax.get_title()}")
    return figure


def draw_treatment(before: Record, after: Record) -> Figure:
    """Loss and accuracy on the test images, before and after, over each other."""
    figure = Figure((10, 3.9), dpi=80)
    loss, accuracy = figure.subplots(1, 2)
    figure.subplots_adjust(left=0.08, right=0.97, bottom=0.13, top=0.82, wspace=0.24)
    for record, word, color, style in (
        (before, "before", GREY, "--"),
        (after, "after", TRAINING, "-"),
    ):
        for ax, tag in ((loss, "loss/train"), (accuracy, "accuracy/test")):
            steps, values = record.scalars[tag]
            ax.plot(steps, _shown(values), style, color=color, label=word, linewidth=2)
    loss.set(title="Training loss", ylabel="cross-entropy (nats)", yscale="log")
    loss.yaxis.set_major_formatter(_plain)
    accuracy.set(title="Accuracy on the test images", ylabel="share right", ylim=(0, 1.02))
    for ax in (loss, accuracy):
        _over_steps(ax, before if before.last_step > after.last_step else after)
        ax.legend()
    figure.suptitle(f"Patient {before.name}, before and after the treatment", fontsize=14)
    return figure


def as_image(figure: Figure, alt: str) -> Image:
    """A figure as a picture for a notebook; 128 colours keep a page of many of them small."""
    whole, small = io.BytesIO(), io.BytesIO()
    figure.savefig(whole, format="png", pil_kwargs={"compress_level": 1})
    picture = Pillow.open(whole).convert("RGB").quantize(128, dither=Pillow.Dither.NONE)
    picture.save(small, format="png", optimize=True)
    # Not alt=, which IPython 7 hasn't got; that is Colab's.
    return Image(small.getvalue(), format="png", metadata={"alt": alt})


def draw_loss(ax: Axes, record: Record) -> None:
    for tag, name, style, color in (
        ("loss/train", "training", "-", TRAINING),
        ("loss/test", "test", "--", TEST),
    ):
        steps, values = record.scalars[tag]
        ax.plot(steps, _shown(values), style, color=color, label=name, linewidth=2)
    ax.axhline(np.log(len(record.confusion)), color=GREY, linestyle=":", label="guessing")
    ax.set(title="Loss", ylabel="cross-entropy (nats)", yscale="log")
    ax.yaxis.set_major_formatter(_plain)
    low, high = ax.get_ylim()
    ax.set_ylim(max(min(low, 0.01), 1e-4), max(high, 10))
    _over_steps(ax, record)
    ax.legend()


def draw_accuracy(ax: Axes, record: Record) -> None:
    for tag, name, style, color in (
        ("accuracy/train", "training", "-", TRAINING),
        ("accuracy/test", "test", "--", TEST),
        ("accuracy/test_counted_again", "test, counted again", "o", "black"),
    ):
        steps, values = record.scalars[tag]
        ax.plot(steps, values, style, color=color, label=name, linewidth=2, mfc="none")
    last = record.scalars["accuracy/test"][1][-1]
    ax.set(title=f"Accuracy; test at the end {last:.1%}", ylabel="share right", ylim=(0, 1.02))
    _over_steps(ax, record)
    ax.legend()


def draw_gradient_norms(ax: Axes, record: Record) -> None:
    layers = record.layers()
    for layer, color in zip(layers, _colors(len(layers)), strict=True):
        steps, values = record.scalars[f"gradient/{layer}"]
        name = layer if values.any() else f"{layer}: none"
        ax.plot(steps, _shown(values), color=color, label=name, linewidth=2)
    ax.set(title="Norm of each layer's gradient", ylabel="norm", yscale="log")
    ax.yaxis.set_major_formatter(_plain)
    low, high = ax.get_ylim()
    room = 1e-4 if len(layers) > 6 else 1  # for a long legend, below the lines
    ax.set_ylim(min(low * room, 1e-3), max(high, 10))
    _over_steps(ax, record)
    ax.legend(fontsize=8, ncols=1 + len(layers) // 6, loc="lower left")


def draw_silent_units(ax: Axes, record: Record) -> None:
    tags = [tag for tag in record.scalars if tag.startswith("silent/")]
    for tag, color in zip(tags, _colors(len(tags)), strict=True):
        steps, values = record.scalars[tag]
        ax.plot(steps, values, color=color, label=tag.removeprefix("silent/"), linewidth=2)
    ax.set(title="Silent units behind each ReLU", ylabel="share of units", ylim=(-0.02, 1.02))
    _over_steps(ax, record)
    if tags:
        ax.legend(fontsize=8, ncols=1 + len(tags) // 6)
    else:
        ax.text(0.5, 0.5, "there is no nn.ReLU", ha="center", transform=ax.transAxes)


def draw_weights(ax: Axes, record: Record) -> None:
    """Each layer's weights at the start, as a line, and at the end, filled; on its own scale."""
    _draw_ridges(ax, record, "weights/", in_units_of_the_first=True)
    ax.set(title="Weights: first (line), last (filled)", xlabel="weight / spread at step 0")


def draw_gradient_sizes(ax: Axes, record: Record) -> None:
    """The sizes of each layer's gradients at the start, as a line, and at the end, filled."""
    _draw_ridges(ax, record, "log10_gradients/", in_units_of_the_first=False)
    ax.set(title="Gradients: first (line), last (filled)", xlabel="log10 of a gradient's size")


def _draw_ridges(ax: Axes, record: Record, prefix: str, in_units_of_the_first: bool) -> None:
    layers = record.layers()
    colors = _colors(len(layers))
    limits = (-6.0, 6.0) if in_units_of_the_first else (-8.0, 2.0)
    for place, (layer, color) in enumerate(zip(layers, colors, strict=True)):
        moments = record.histograms.get(prefix + layer, {})
        baseline = -float(place)
        ax.axhline(baseline, color=GREY, linewidth=0.5)
        if not moments:
            ax.text(0.5, baseline + 0.3, "none", ha="center", transform=ax.get_yaxis_transform())
            continue
        first, last = moments[min(moments)], moments[max(moments)]
        unit = _spread(*first) if in_units_of_the_first else 1.0
        note, shapes = "", [(last, True), (first, False)]
        if max(moments) < record.last_step:
            note, shapes = "none at the end", shapes[1:]
        elif in_units_of_the_first and np.abs(last[0]).max() / unit > 2 * limits[1]:
            note = f"up to {np.abs(last[0]).max() / unit:,.3g}"
        elif not in_units_of_the_first and last[0].max() < limits[0]:
            note = f"below {limits[0]:g}"
        ax.text(0.98, baseline + 0.6, note, ha="right", transform=ax.get_yaxis_transform())
        for (edges, counts), filled in shapes:
            density = counts / np.diff(edges)
            ax.stairs(
                baseline + 0.85 * density / density.max(),
                edges / unit,
                baseline=baseline,
                fill=filled,
                facecolor=(*color[:3], 0.6),
                edgecolor=color if filled else "black",
                linewidth=1,  # without which a needle is nothing
            )
    ax.set_yticks([-place for place in range(len(layers))], layers)
    ax.set(xlim=limits, ylim=(-len(layers) + 0.9, 1))


def draw_batch(ax: Axes, record: Record) -> None:
    """Training images above, test images below, each with its label; 0 is white, 1 is black."""
    ax.set_axis_off()
    words = []
    for part in ("train", "test"):
        low, high = (record.scalars[f"pixels/{part}_{end}"][1][0] for end in ("lowest", "highest"))
        words.append(f"{part} {low:.3g} to {high:.3g}")
    ax.set_title("A batch; pixels: " + ", ".join(words))
    if not record.batch:
        return
    top, bottom = record.batch["train"], record.batch["test"]
    gap = np.full((12, top.shape[1], 3), 255, np.uint8)
    gray = np.concatenate([255 - top, gap, 255 - bottom])
    ax.imshow(gray, interpolation="nearest")
    size = top.shape[1] // 8
    for part, offset in (("train", 0), ("test", len(top) + len(gap))):
        for place, label in enumerate(record.labels[part]):
            row, column = divmod(place, 8)
            ax.text(
                column * size + 1,
                offset + row * size + 1,
                label,
                color="#C00000",
                fontsize=9,
                fontweight="bold",
                va="top",
            )


def draw_confusion(ax: Axes, record: Record) -> None:
    counts = record.confusion
    share = counts / counts.sum(axis=1, keepdims=True).clip(1)
    ax.imshow(share, cmap="Blues", vmin=0, vmax=1)
    if len(counts) <= 12:
        for row, column in zip(*counts.nonzero(), strict=True):
            color = "white" if share[row, column] > 0.5 else "black"
            ax.text(
                column, row, counts[row, column], color=color, ha="center", va="center", fontsize=7
            )
        ax.set_xticks(range(len(counts)))
        ax.set_yticks(range(len(counts)))
    ax.set(title="Test images at the end", xlabel="answer", ylabel="true class")


def _over_steps(ax: Axes, record: Record) -> None:
    """Steps on a scale that spreads out the first; shaded from where the loss isn't finite."""
    last = record.last_step
    ax.set_xscale("function", functions=(lambda x: np.sqrt(np.maximum(x, 0)), np.square))
    ticks = [step for step in (0, 10, 50, 100, 200, 500, 1000, 3000, 10000) if step < 0.8 * last]
    ax.set_xticks([*ticks, last], [*ticks, last])
    ax.minorticks_off()
    ax.set(xlabel="step", xlim=(0, last))
    ax.grid(alpha=0.3)
    steps, losses = record.scalars["loss/train"]
    bad = steps[~np.isfinite(losses)]
    if len(bad):
        ax.axvspan(bad[0], last, color="#CC79A7", alpha=0.25)
        ax.text(
            0.97,
            0.5,
            f"not finite\nfrom step {bad[0]:.0f} on",
            ha="right",
            va="center",
            transform=ax.transAxes,
        )


def _shown(values: np.ndarray) -> np.ndarray:
    """Values for a logarithmic axis: 0 and what isn't finite are left out, the rest is clipped."""
    values = np.where(np.isfinite(values) & (values != 0), values, np.nan)
    return np.clip(values, SMALLEST, LARGEST)


def _plain(value: float, place: int | None = None) -> str:
    return f"{value:g}"


def _spread(edges: np.ndarray, counts: np.ndarray) -> float:
    middles = (edges[1:] + edges[:-1]) / 2
    return float(np.sqrt((counts * middles**2).sum() / counts.sum())) or 1.0


def _colors(count: int) -> list:
    """Colours from the first layer, dark, to the last, light."""
    return [colormaps["viridis"](0.9 * place / max(count - 1, 1)) for place in range(count)]
