"""hiddenlayer's History, mended: what was logged at each step of a training.

The interface is that of hiddenlayer 0.3 (https://github.com/waleedka/hiddenlayer); the classes
here subclass its own and leave them as they are.
"""

import hiddenlayer.history
import numpy as np


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
