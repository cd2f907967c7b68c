"""hiddenlayer's History, mended: what was logged at each step of a training.

The interface is that of hiddenlayer 0.3 (https://github.com/waleedka/hiddenlayer); the classes
here subclass its own and leave them as they are.
"""

import io
import json
import pickle
from pathlib import Path

import hiddenlayer.history
import numpy as np
from hiddenlayer.history import format_step as format_step  # a name of hiddenlayer's own module

from helpers.files import replacing
from helpers.values import plain

ARRAY_PARTS = {
    (module, name)
    for package in ("numpy.core", "numpy._core")
    for module, name in (
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
        (f"{package}.multiarray", "_reconstruct"),
        (f"{package}.multiarray", "scalar"),
        (f"{package}.numeric", "_frombuffer"),
    )
}
"""All that the pickle of a history may call: what puts an array together."""


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

    A step is an int, or a tuple (epoch, step in the epoch). A value is a number, an array, a
    tensor of any dtype on any device, or a list of these, of which a copy is kept; numbers of 16
    bits are kept as 32. ``history["loss"]`` is a ``Metric``; a metric needn't be logged at every
    step.

    ``save`` writes a file that is whole or not there. A name that ends in .npz gets NumPy's
    format, which holds numbers and text and nothing that could run; any other a pickle, as
    hiddenlayer's own. ``load`` reads both.
    """

    def log(self, step: int | tuple[int, int], **metrics: object) -> None:
        super().log(step, **{name: _copy(value) for name, value in metrics.items()})

    def __getitem__(self, name: str) -> Metric:
        return Metric(self, name)

    def save(self, file_name: Path | str) -> None:
        """Write all that was logged.

        Raises OSError if the file can't be written, and ValueError if the name ends in .npz and
        a value is neither a number, nor text, nor an array of these.
        """
        dump = _dump_npz if Path(file_name).suffix == ".npz" else pickle.dumps
        content = dump(self.history)
        with replacing(file_name) as path:
            path.write_bytes(content)

    def load(self, file_name: Path | str) -> None:
        """Read what ``save`` wrote, in place of what is here.

        Raises ValueError if the file is damaged or no history; this one is left as it was then.
        Of a pickle, nothing is called but what puts an array together, and nothing else runs.
        """
        content = Path(file_name).read_bytes()
        try:
            load = _load_npz if content.startswith(b"PK") else _load_pickle
            history = load(content)
            if not all(isinstance(entry, dict) for entry in history.values()):
                raise ValueError("no entries under its steps")
            steps = sorted(history)
            if not all(isinstance(step, int | tuple) for step in steps):
                raise ValueError("its steps are no numbers")
        except Exception as error:
            raise ValueError(
                f"{file_name} is damaged, or no history that was saved here "
                f"({type(error).__name__}: {error})"
            ) from None
        self.history = history
        self.step = steps[-1] if steps else None
        self.metrics = {name for entry in history.values() for name in entry} - {"__timestamp__"}


def _copy(value: object) -> object:
    """A value as a history keeps it: without its tensors, and its own."""
    value = plain(value)
    if isinstance(value, list):
        value = np.array(value)
    if isinstance(value, np.ndarray):
        return value.copy() if value.ndim else value.item()
    return value


def _dump_npz(history: dict) -> bytes:
    """The arrays under numbers; in their midst, as JSON, what stands where."""
    arrays, entries = {}, []
    for step, entry in history.items():
        row = {}
        for name, value in entry.items():
            if isinstance(value, np.ndarray) and not value.dtype.hasobject:
                row[name] = {"array": str(len(arrays))}
                arrays[str(len(arrays))] = value
            elif value is None or isinstance(value, bool | int | float | str):
                row[name] = value
            else:
                raise ValueError(
                    f"{name} is of the type {type(value).__name__}, which only a pickle holds"
                )
        entries.append([step, row])
    buffer = io.BytesIO()
    np.savez(buffer, entries=np.array(json.dumps(entries)), **arrays)
    return buffer.getvalue()


def _load_npz(content: bytes) -> dict:
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        entries = json.loads(file["entries"].item())
        return {
            tuple(step) if isinstance(step, list) else step: {
                name: file[value["array"]] if isinstance(value, dict) else value
                for name, value in entry.items()
            }
            for step, entry in entries
        }


def _load_pickle(content: bytes) -> dict:
    return _ArrayUnpickler(io.BytesIO(content)).load()


class _ArrayUnpickler(pickle.Unpickler):
    """Refuses whatever isn't part of an array."""

    def find_class(self, module: str, name: str) -> object:
        if (module, name) not in ARRAY_PARTS:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no history needs")
        return super().find_class(module, name)
