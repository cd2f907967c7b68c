"""What a chapter's run says, as text: its cells' outputs and figures, and the files it wrote."""

import base64
import io
import json
import re
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from PIL import Image, ImageSequence

from tests.records.compare import marked
from tests.run_notebooks import merge_streams, normalize_text, overwrite

FEW = 12
"""A row of at most so many numbers is written out; of a longer one, the means of so many parts."""

SVG = "{http://www.w3.org/2000/svg}"

UNSAID = {"id", "contentID", "i", "version", "reload", "command", "inflate", "caption", "margin"}
"""What of a Visdom window differs from run to run or from release to release, and isn't seen."""


# ---- numbers ----


def row(values: np.ndarray) -> str:
    """A row of numbers; whole ones that are few are exact."""
    return " ".join("nan" if v != v else f"{0.0 if abs(v) < 1e-12 else v:.4g}" for v in values)


def parts(values: np.ndarray) -> np.ndarray:
    """The means of FEW parts of an array along its first axis, without what isn't finite."""
    rows = np.asarray(values, float).reshape(len(values), -1)
    return np.array(
        [
            np.mean(part[np.isfinite(part)]) if np.isfinite(part).any() else np.nan
            for part in (rows if len(rows) <= FEW else np.array_split(rows, FEW))
        ]
    )


def numbers(name: str, values: object) -> list[str]:
    """What an array holds, in a few lines."""
    values = np.asarray(values)
    if values.dtype.kind not in "biuf":
        words = [str(value) for value in values.ravel()]
        shown = words if len(words) <= FEW else [*words[:FEW], f"... {len(words)} in all"]
        return [f"{name}: {', '.join(shown)}"]
    if values.ndim == 0:
        return [f"{name} ~ {row([float(values)])}"]
    shape = " x ".join(map(str, values.shape))
    finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    if not finite.size:
        return [f"{name}: {shape}, nothing finite"]
    if values.ndim == 1 and len(values) <= FEW:
        whole = name.strip() in ("x", "step") and (finite == finite.astype(int)).all()
        return [f"{name}:{' ' if whole else ' ~ '}{row(values)}"]
    if values.ndim == 1 and len(values) > 1000:  # as many as there are different scores, say
        shape = f"~{shape}"
    ends = f"{name}: {shape} ~ {row([finite.min(), finite.max()])}"
    if values.ndim == 1:
        return [ends, f"{name}, parts ~ {row(parts(values))}"]
    flat = values.reshape(*values.shape[:2], -1)
    return [
        ends,
        f"{name}, rows ~ {row(parts(flat))}",
        f"{name}, columns ~ {row(parts(flat.swapaxes(0, 1)))}",
    ]


def pixels(name: str, picture: Image.Image) -> list[str]:
    """The last frame of a picture; small ones, which no font or layout goes into, by their rows."""
    frames = sum(1 for _ in ImageSequence.Iterator(picture))
    picture.seek(frames - 1)
    grey, animated = np.asarray(picture.convert("L")), f", {frames} frames" * (frames > 1)
    if max(grey.shape) <= 600:
        return [*numbers(name, grey), f"{name}{animated}"][: 4 if animated else 3]
    size = f"~{picture.width} x ~{picture.height}"
    return [f"{name}: {size}{animated} ~ {row([grey.min(), grey.mean(), grey.max()])}"]


# ---- the outputs and the figures of a cell ----


def figure(drawn: int, said: dict, source: str) -> list[str]:
    """A figure: how often it was drawn, and what its last picture says."""

    def text(words: str) -> str:
        words = re.sub(r"\d+:\d\d:\d\d", "TIME", words)
        return marked(json.dumps(words, ensure_ascii=False), source)

    width, height = said["size"]
    lines = [f"figure {width:g} x {height:g}, drawn {drawn} times, {text(said['title'])}"]
    if said["texts"]:
        lines.append(f"  texts {text(' | '.join(said['texts']))}")
    for axes in said["axes"]:
        head = " ".join(["  axes", text(axes["title"]), axes["look"]]).rstrip()
        head += "" if axes["shown"] else ", switched off"
        head += "" if axes["framed"] else ", without a frame"
        lines.append(f"{head} ~ {row(axes['place'])}")
        for name in "xy" if axes["shown"] else "":
            axis = axes[name]
            kind = f"{text(axis['label'])} {axis['scale']}{', grid' if axis['grid'] else ''}"
            lines.append(f"    {name} {kind} ~ {row(axis['limits'])}")
            if axis["ticks"]:
                ticks = f"    {name} ticks {' | '.join(axis['ticks'])}"
                lines.append(f"{ticks}, {axis['look']}" if axis["look"] else ticks)
            usual = [*map(str, range(len(axis["at"])))], axis["ticks"]
            if [f"{place:g}" for place in axis["at"]] not in usual:
                lines += numbers(f"    {name} ticks at", axis["at"])
        if axes["legend"]:
            title = f"{axes['legend title']}: " if axes["legend title"] else ""
            lines.append(f"    legend {text(title + ' | '.join(axes['legend']))}")
        if axes["texts"]:
            words = axes["texts"]
            if all(re.fullmatch(r"[\d,.]+", word) for word in words):
                values = sorted((float(word.replace(",", "")) for word in words), reverse=True)
                lines += [f"    {line}" for line in numbers("numbers", values[:FEW])]
            else:
                lines.append(f"    texts {text(' | '.join(words[:FEW]))}")
            lines.append(f"      set {' | '.join(axes['looks'][:FEW])}")
            for name, places in zip("xy", zip(*axes["places"], strict=True), strict=True):
                lines += numbers(f"      {name}", places) if len(words) <= FEW else []
        drawn = axes["drawn"]
        if len(drawn) > FEW:
            lines.append(f"    {len(drawn)} drawn, of these:")
        for kind, label, color, style, x, y in drawn[:FEW]:
            lines.append(f"    {kind} {text(label)} {color} {style}".rstrip())
            rows = {"x": x, "y": y}
            if kind == "image":
                rows = {"scale": x, "y": y}
            if kind == "bars":
                rows = dict(zip(("left", "bottom", "width", "height"), (*x.T, *y.T), strict=True))
            for name, values in rows.items():
                if values is not None:
                    lines += [f"      {line}" for line in numbers(name, values)]
    return lines


def output(content: dict, exact: bool, source: str) -> list[str]:
    """An output of a cell, as a notebook stores it."""

    def text(words: str) -> list[str]:
        words = normalize_text(overwrite(words)).rstrip().split("\n")
        return words if exact else [marked(line, source) for line in words]

    if "image/svg+xml" in content.get("data", {}):
        exact = True  # of a graph, only the coordinates depend on the machine
    if content["output_type"] == "stream":
        return text(content["text"])
    lines = []
    for kind, value in sorted(content["data"].items()):
        if kind == "image/svg+xml":
            lines += graph(ElementTree.fromstring(value))
        elif kind == "image/png":
            width, height = Image.open(io.BytesIO(base64.b64decode(value))).size
            lines.append(f"a picture, some {round(width, -2)} x {round(height, -2)}")
        elif kind.startswith("text/"):
            lines += text(value)
    return lines


def graph(svg: ElementTree.Element) -> list[str]:
    """The boxes and arrows of a picture by Graphviz; boxes are numbered as they come."""
    boxes, lines = {}, []
    for group in svg.iter(f"{SVG}g"):
        words = " ".join((part.text or "").strip() for part in group.iter(f"{SVG}text"))
        if group.get("class") == "node":
            boxes[group.find(f"{SVG}title").text] = f"[{len(boxes)}]"
            lines.append(f"  [{len(boxes) - 1}] {words}")
        elif group.get("class") == "edge":
            start, _, end = group.find(f"{SVG}title").text.partition("->")
            lines.append(f"  {boxes[start]} -> {boxes[end]} {words}".rstrip())
    return lines


def cells(run) -> str:
    """The outputs and figures of each code cell of a ``ChapterRun``."""
    lines = []
    for cell in run.cells:
        exact = "nbval-ignore-output" not in cell.metadata.get("tags", [])
        merge_streams(cell)
        said = [line for o in cell.outputs for line in output(o, exact, cell.source)]
        for drawn, picture in run.noted(cell)["figures"]:
            said += figure(drawn, picture, cell.source)
        if "solution" in cell.metadata.get("tags", []):  # other windows are in the server's files
            for (env, win), window in run.noted(cell)["windows"].items():
                sent = {key: window[key] for key in ("data", "layout") if key in window}
                said += [f"window {win} of {env}", *tree("", sent)]
        if said:
            source = cell.source.removeprefix("# A solution\n").strip()
            lines += ["", f"## {source.splitlines()[0]}", *said]
    return "\n".join(lines)


# ---- the files ----


def files(folder: Path) -> str:
    """The files below a folder, and what is in those of a kind that is known here."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    lines = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = re.sub(r"(events\.out).*|\d{9,}", r"\1...", str(path.relative_to(folder)))
        lines += ["", f"## {name}"]
        if path.name.startswith("events.out"):
            keep_all = dict.fromkeys(("scalars", "images", "histograms", "tensors"), 0)
            lines += events(EventAccumulator(str(path), size_guidance=keep_all).Reload())
        elif path.suffix in (".png", ".gif"):
            lines += pixels("picture", Image.open(path))
        elif path.suffix == ".json":
            lines += tree("", json.loads(path.read_text(encoding="utf-8")))
        elif path.suffix == ".tsv":
            table = [line.split("\t") for line in path.read_text().splitlines()]
            with_numbers = all(re.fullmatch(r"[-\d.e]+", word) for line in table for word in line)
            lines += numbers("table", np.array(table, float if with_numbers else str))
        elif path.suffix == ".pkl":
            lines += history(path)
    return "\n".join(lines)


def history(path: Path) -> list[str]:
    from helpers import hiddenlayer as hl

    kept = hl.History()
    kept.load(path)
    lines = [f"steps: {' '.join(map(str, kept.steps))}"]
    for name in sorted(kept.metrics):
        lines += numbers(name, kept[name].data)
    return lines


def events(log) -> list[str]:
    """What an event file holds, tag by tag."""
    lines, tags = [], log.Tags()
    if tags["graph"]:
        count = Counter(node.op for node in log.Graph().node)
        lines.append(f"graph: {', '.join(f'{n} {op}' for op, n in sorted(count.items()))}")
    for tag in tags["scalars"]:
        lines += [tag, *numbers("  step", [event.step for event in log.Scalars(tag)])]
        lines += numbers("  value", [event.value for event in log.Scalars(tag)])
    for tag in tags["images"]:
        found = log.Images(tag)
        lines += [tag, *numbers("  step", [event.step for event in found])]
        lines += pixels("  last", Image.open(io.BytesIO(found[-1].encoded_image_string)))
    for tag in tags["histograms"]:
        found = log.Histograms(tag)
        last = found[-1].histogram_value
        lines += [tag, *numbers("  step", [event.step for event in found])]
        lines.append(f"  last ~ {row([last.min, last.max, (last.sum_squares / last.num) ** 0.5])}")
        lines += numbers("  counts", last.bucket)
    from tensorboard.util import tensor_util

    for tag in tags["tensors"]:
        for event in log.Tensors(tag):
            values = tensor_util.make_ndarray(event.tensor_proto)
            if values.dtype.kind == "O":
                lines.append(f"{tag} at {event.step}: {[v.decode() for v in values.ravel()]}")
            else:
                lines += numbers(f"{tag} at {event.step}", values)
    return lines


def tree(name: str, content: object) -> list[str]:
    """JSON, as a line for each text and each row of numbers in it; pictures by their pixels."""
    if isinstance(content, dict):
        inner = content.get("jsons", content)
        return [
            line
            for key, value in inner.items()
            if key not in UNSAID and value is not None
            for line in tree(f"{name}.{key}" if name else key, value)
        ]
    if isinstance(content, list) and content:
        if all(isinstance(v, (int, float, type(None))) for v in content):
            return numbers(name, [np.nan if v is None else v for v in content])
        if all(isinstance(v, list) for v in content) and len({len(v) for v in content}) == 1:
            return numbers(name, content)
        if all(isinstance(v, str) for v in content):
            return numbers(name, content)
        lines = [f"{name}: {len(content)}"]
        for index, value in enumerate(content):
            if index < FEW:
                lines += tree(f"{name}.{index}", value)
        return lines
    if isinstance(content, str) and content.startswith("data:image"):
        return pixels(name, Image.open(io.BytesIO(base64.b64decode(content.partition(",")[2]))))
    if isinstance(content, float):
        return [f"{name} ~ {row([content])}"]
    return [f"{name}: {content!r}"]
