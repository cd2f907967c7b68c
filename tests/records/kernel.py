"""Runs in a chapter's kernel, before its first cell: notes what the pictures show.

It is handed to IPython as a startup file (see ``watched``), so that the chapter stays as it is.
After each cell three things are written to a folder, under the number of the cell:

- of every matplotlib figure that was drawn, which a ``Canvas`` is too, the texts and the numbers;
- what was sent to Visdom, the last for each window;
- the plain values that the cell gave a name, for the checks of the solutions.
"""

import ast
import json
import os
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LIMIT = 4_000_000
"""Bytes of one kept value."""


@contextmanager
def watched(folder: Path) -> Iterator[None]:
    """Kernels that are started inside the block note what they draw, in ``folder``."""
    startup = folder / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "watch.py").write_text(
        f"import runpy\nrunpy.run_path({__file__!r})['watch']({str(folder)!r})\ndel runpy\n",
        encoding="utf-8",
    )
    before = os.environ.get("IPYTHONDIR")
    os.environ["IPYTHONDIR"] = str(folder / "ipython")
    try:
        yield
    finally:
        if before is None:
            del os.environ["IPYTHONDIR"]
        else:
            os.environ["IPYTHONDIR"] = before


def watch(folder: str) -> None:
    """Note, from here on, what is drawn and named in this kernel."""
    import visdom
    from IPython import get_ipython
    from matplotlib.backend_bases import FigureCanvasBase

    shell, figures, windows = get_ipython(), {}, {}
    draw, send = FigureCanvasBase.print_figure, visdom.Visdom._send

    def print_figure(canvas, *args, **kwargs):
        # A pyplot figure has a number. Of the others, a canvas draws one after the other.
        drawn = draw(canvas, *args, **kwargs)
        key = getattr(canvas.figure, "number", None) or "canvas"
        figures[key] = (figures.get(key, (0, None))[0] + 1, figure_says(canvas.figure))
        return drawn

    def note_window(self, msg, *args, **kwargs):
        if "data" in msg:
            windows[msg.get("eid") or self.env, msg.get("win")] = json.loads(json.dumps(msg))
        return send(self, msg, *args, **kwargs)

    def write(result):
        if result.execution_count is None:  # something silent, which is no cell
            return
        content = {"figures": list(figures.values()), "windows": dict(windows)}
        content["values"] = plain_values(result, shell)
        Path(folder, f"cell-{result.execution_count}.pickle").write_bytes(pickle.dumps(content))
        figures.clear()
        windows.clear()

    FigureCanvasBase.print_figure = print_figure
    visdom.Visdom._send = note_window
    shell.events.register("post_run_cell", write)


def plain_values(result, shell) -> dict[str, bytes]:
    """What the cell named, if it is data, pickled one by one."""
    import hiddenlayer.history
    import numpy
    import torch

    data = (bool, int, float, str, list, tuple, dict, set, numpy.ndarray, torch.Tensor)
    data += (torch.nn.Module, hiddenlayer.history.History)
    values = {}
    try:
        nodes = list(ast.walk(ast.parse(result.info.raw_cell)))
    except SyntaxError:
        return values
    names = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    for name in sorted(names & shell.user_ns.keys()):
        if isinstance(shell.user_ns[name], data):
            try:
                pickled = pickle.dumps(shell.user_ns[name])
            except Exception:  # whatever can't be kept isn't plain data
                continue
            if len(pickled) < LIMIT:
                values[name] = pickled
    return values


def figure_says(figure) -> dict:
    """The texts of a figure and its axes, and the numbers behind what is drawn in them."""
    title, texts = figure.get_suptitle(), [text.get_text() for text in figure.texts]
    return {
        "size": tuple(figure.get_size_inches()),
        "title": title,
        "texts": [words for words in texts if words != title],
        "axes": [axes_say(ax) for ax in figure.axes],
    }


def look(text, usual: str) -> str:
    """How a text is set, in what differs from ``usual``, the name of a size in matplotlib."""
    import matplotlib as mpl
    from matplotlib.colors import to_hex
    from matplotlib.font_manager import font_scalings

    size, color, turned = text.get_size(), to_hex(text.get_color()), text.get_rotation()
    weight = str(text.get_weight())
    said = [f"{size:g} pt"] if size != font_scalings[usual] * mpl.rcParams["font.size"] else []
    said += [color] if color != "#000000" else []
    said += [weight] if weight != "normal" else []
    return " ".join([*said, *([f"turned {turned:g}"] if turned else [])])


def axes_say(ax) -> dict:
    import numpy as np
    from matplotlib.category import StrCategoryLocator
    from matplotlib.collections import PathCollection, QuadMesh
    from matplotlib.colors import to_hex
    from matplotlib.patches import StepPatch
    from matplotlib.ticker import FixedLocator

    def colors(found):
        return sorted({to_hex(color, keep_alpha=False) for color in np.atleast_2d(found)})

    def faint(artist):
        return f" alpha {artist.get_alpha():g}" if artist.get_alpha() not in (None, 1) else ""

    said = {"title": ax.get_title(), "drawn": [], "texts": [text.get_text() for text in ax.texts]}
    said["look"] = look(ax.title, "large")
    said["place"] = ax.get_position().bounds
    said["looks"] = sorted(
        {f"{look(t, 'medium')} {t.get_ha()} {t.get_va()}".strip() for t in ax.texts}
    )
    said["places"] = [getattr(text, "xy", text.get_position()) for text in ax.texts]
    legend = ax.get_legend()
    said["legend"] = [text.get_text() for text in legend.texts] if legend else []
    said["legend title"] = legend.get_title().get_text() if legend else ""
    said["shown"], said["framed"] = ax.axison, ax.get_frame_on()
    for name, axis in (("x", ax.xaxis), ("y", ax.yaxis)):
        named = isinstance(axis.get_major_locator(), FixedLocator | StrCategoryLocator)
        labels, at = (axis.get_ticklabels(), axis.get_majorticklocs()) if named else ([], [])
        said[name] = {
            "label": axis.get_label().get_text(),
            "limits": getattr(ax, f"get_{name}lim")(),
            "scale": axis.get_scale(),
            "grid": any(line.get_visible() for line in axis.get_gridlines()),
            "ticks": [tick.get_text() for tick in labels],
            "at": list(at),
            "look": look(labels[0], "medium") if labels else "",
        }
    for line in ax.lines:
        x, y = line.get_data(orig=False)
        style = f"{line.get_linestyle()} {line.get_marker()} {line.get_linewidth():g} pt"
        if line.get_marker() != "None":
            style += f" {line.get_markersize():g} pt"
        style += faint(line)
        said["drawn"].append(("line", line.get_label(), to_hex(line.get_color()), style, x, y))
    for image in ax.images:
        low, high = image.get_clim()
        pixels = np.ma.filled(image.get_array(), np.nan)
        said["drawn"].append(("image", "", "", image.get_cmap().name, [low, high], pixels))
    for points in ax.collections:
        kind, label, style = "points", points.get_label(), ""
        color = " ".join(colors(points.get_facecolor())[:3])
        places = np.ma.filled(points.get_offsets().astype(float), np.nan)
        if isinstance(points, PathCollection):
            style = " ".join(f"{size:g} pt\u00b2" for size in sorted(set(points.get_sizes()))[:3])
        elif not isinstance(points, QuadMesh):  # a band between curves, or bars of an error
            kind, paths = "outline", [path.vertices for path in points.get_paths()]
            color = color or " ".join(colors(points.get_edgecolor())[:3])
            places = np.concatenate([np.empty((0, 2)), *paths])
            if not len(places):
                continue
        x, y = places.reshape(-1, 2).T
        said["drawn"].append((kind, label, color, (style + faint(points)).strip(), x, y))
    bars = [p for p in ax.patches if hasattr(p, "get_bbox") and hasattr(p, "get_height")]
    for color in sorted({to_hex(bar.get_facecolor()) for bar in bars}):
        own = [bar for bar in bars if to_hex(bar.get_facecolor()) == color]
        bounds = np.array([bar.get_bbox().bounds for bar in own])
        place, size = bounds[:, :2], bounds[:, 2:]
        said["drawn"].append(("bars", "", color, faint(own[0]).strip(), place, size))
    for steps in ax.patches:
        if isinstance(steps, StepPatch):
            values, edges, _ = steps.get_data()
            style = str(steps.get_linestyle())
            said["drawn"].append(("steps", steps.get_label(), "", style, edges, values))
    return said
