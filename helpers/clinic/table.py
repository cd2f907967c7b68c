"""The table to keep: what one sees first, who is suspected, which picture decides, the cure."""

import textwrap
from itertools import groupby

from matplotlib.figure import Figure

from helpers.clinic.illnesses import (
    GAP,
    HUGE,
    ILLNESSES,
    NOISY,
    SLOW,
    STUCK,
    TOO_GOOD,
    WELL,
    Illness,
)

ORDER = (HUGE, STUCK, SLOW, GAP, NOISY, TOO_GOOD, WELL)
HEAD = ("What you see first", "Suspect", "The picture that decides, and what it shows", "Cure")
WIDTHS = (24, 26, 56, 54)
"""Of the columns, in characters."""


def rows() -> list[tuple[str, Illness]]:
    """First sight and illness, grouped by first sight; the healthy are left out."""
    ill = [illness for illness in ILLNESSES if illness.name != "healthy"]
    return [(sight, illness) for sight in ORDER for illness in ill if illness.first_sight == sight]


def _cells(illness: Illness) -> tuple[str, str, str]:
    return illness.name, f"{illness.picture}: {illness.shows}", illness.cure


def table() -> str:
    """The table in Markdown."""
    lines = [f"| {' | '.join(HEAD)} |", "|---" * len(HEAD) + "|"]
    for sight, group in groupby(rows(), key=lambda row: row[0]):
        for number, (_, illness) in enumerate(group):
            name, shows, cure = _cells(illness)
            lines.append(f"| {sight if number == 0 else ''} | **{name}** | {shows} | {cure} |")
    return "\n".join(lines)


def draw_table() -> Figure:
    """The table on one page, A3 across, to hang on the wall; save it as PDF or PNG."""
    figure = Figure((16.5, 11.7), dpi=80)
    ax = figure.add_axes((0.03, 0.03, 0.94, 0.9))
    figure.suptitle("What is wrong with this training?", fontsize=26, fontweight="bold", y=0.975)
    lefts = [sum(WIDTHS[:column]) + column * 2 for column in range(len(WIDTHS))]
    y = 0.0
    for left, word in zip(lefts, HEAD, strict=True):
        ax.text(left, y, word, va="top", fontsize=13, fontweight="bold")
    y += 1.5
    for sight, group in groupby(rows(), key=lambda row: row[0]):
        ax.axhline(y - 0.25, color="black", linewidth=1)
        top = y
        for _, illness in group:
            height = 1
            for left, width, text, weight in zip(
                lefts[1:], WIDTHS[1:], _cells(illness), ("bold", "normal", "normal"), strict=True
            ):
                wrapped = textwrap.wrap(text, width)
                ax.text(left, y, "\n".join(wrapped), va="top", fontsize=10.5, fontweight=weight)
                height = max(height, len(wrapped))
            y += height + 0.35
        ax.text(0, top, textwrap.fill(sight, WIDTHS[0]), va="top", fontsize=12, color="#0072B2")
        y = max(y, top + len(textwrap.wrap(sight, WIDTHS[0])) * 1.15 + 0.35)
    ax.set(xlim=(0, lefts[-1] + WIDTHS[-1]), ylim=(y, -0.5))
    ax.set_axis_off()
    return figure
