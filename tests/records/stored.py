"""A plugin for pytest, beside nbval: what nbval doesn't compare of a stored page.

    pytest --nbval -p tests.records.stored notebooks

nbval compares the texts of a cell, unless it is tagged ``nbval-ignore-output``, and no pictures.
Here the texts of those cells are compared with their numbers within the tolerances of
``compare``, a graph by its boxes and arrows, and each stored picture with the one that the cell
has just drawn.
"""

import base64
import io
import json
import os
from pathlib import Path

import pytest
from nbformat import from_dict
from nbval.plugin import IPyNbCell
from PIL import Image

from tests.records.compare import differences
from tests.records.pictures import likeness
from tests.records.says import output
from tests.run_notebooks import as_if_new, merge_streams

BY_THE_CLOCK = "by-the-clock"
"""The tag of a cell that shows how long something took: only that it runs is tested."""

ALIKE = 0.9
"""Likeness of two pictures of one thing; of two things it is far below."""


def streams_first(outputs: list[dict]) -> list[dict]:
    """What was printed before what was drawn: nbclient joins a stream across the pictures in it."""
    return sorted(outputs, key=lambda one: one["output_type"] != "stream")


def unlike(stored: list[dict], fresh: list[dict], exact: bool, source: str) -> list[str]:
    """In what a cell's stored outputs differ from fresh ones; empty if they agree."""
    texts, pictures = [], []
    for outputs in (stored, fresh):
        cell = from_dict({"outputs": streams_first(outputs)})
        merge_streams(cell)
        texts.append("\n".join(line for o in cell.outputs for line in output(o, exact, source)))
        drawn = [o.data["image/png"] for o in cell.outputs if "image/png" in o.get("data", {})]
        pictures.append([Image.open(io.BytesIO(base64.b64decode(png))) for png in drawn])
    found = differences(*texts)
    for number, (old, new) in enumerate(zip(*pictures, strict=False), start=1):
        if (alike := likeness(old, new)) < ALIKE:
            found.append(f"picture {number} isn't the one that the cell draws ({alike:.2f})")
    return found


def watch(item: IPyNbCell) -> list[dict]:
    """A list that gets what the cell shows; nbval leaves out how a shown picture is replaced."""
    shown, places, get = [], {}, item.parent.get_kernel_message

    def get_and_keep(*args, **kwargs):
        message = get(*args, **kwargs)
        kind, content = message["msg_type"], message["content"]
        place = places.get(content.get("transient", {}).get("display_id"))
        if kind == "update_display_data":
            shown[place]["data"] = content["data"]
        elif kind in ("display_data", "execute_result", "stream"):
            if kind == "display_data":
                places[content.get("transient", {}).get("display_id")] = len(shown)
            kept = {key: content[key] for key in ("name", "text", "data") if key in content}
            shown.append({"output_type": kind, **kept})
        return message

    item.parent.get_kernel_message = get_and_keep
    return shown


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop():
    with as_if_new():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    if not isinstance(item, IPyNbCell):
        return (yield)
    shown = watch(item)
    try:
        result = yield
    finally:
        del item.parent.get_kernel_message
    if folder := os.environ.get("KEEP_SHOWN"):  # for tests/mutants.py, which runs a chapter once
        number = item.parent.nb.cells.index(item.cell)
        Path(folder, f"{item.path.stem}-{number}.json").write_text(json.dumps(shown))
    if BY_THE_CLOCK in item.cell.metadata.get("tags", []):
        return result
    exact = item.options["check"]
    if found := unlike(item.cell.outputs, shown, exact, item.cell.source):
        item.raise_cell_error("What is stored differs from what was shown", "\n".join(found))
    return result
