"""The one form in which every benchmark reports: what, against what, the ratio, the target."""

import statistics
from dataclasses import dataclass


@dataclass
class Row:
    """One comparison: the median of the ratios of runs taken in turn, and what it should be."""

    what: str
    against: str
    ratio: float
    target: str = ""
    figures: str = ""


def compare(what, against, ours, theirs, target="", unit="s"):
    """A row from two lists of figures, the pairs of which were measured one after the other."""
    ratio = statistics.median(one / other for one, other in zip(ours, theirs, strict=True))
    figures = f"{statistics.median(ours):.4g} against {statistics.median(theirs):.4g} {unit}"
    return Row(what, against, ratio, target, figures)


def print_rows(rows):
    """The rows as a Markdown table."""
    cells = [("what", "against", "ratio", "target", "medians")]
    cells += [(r.what, r.against, f"{r.ratio:.3g}", r.target, r.figures) for r in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    cells.insert(1, tuple("-" * width for width in widths))
    for row in cells:
        padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("| " + " | ".join(padded) + " |", flush=True)
