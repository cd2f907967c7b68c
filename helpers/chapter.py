"""What every chapter does before it starts: check its parameters, find a place for its files."""

import itertools
import math
from pathlib import Path

COUNTS = ("epochs", "batch_size", "log_every")
"""Parameters that count something, and so are whole numbers of at least 1."""


def check_parameters(**parameters: object) -> None:
    """Check a chapter's parameters before anything long begins.

    Counts (``epochs``, ``batch_size``, ``log_every``, and any other whole number) must be at
    least 1, ``seed`` at least 0, and other numbers (``learning_rate``) positive and finite.
    Text is left to whatever uses it.

    Raises ValueError naming the parameter, its value and what it should be.
    """
    for name, value in parameters.items():
        if name == "seed" or name in COUNTS or isinstance(value, int):
            least = 0 if name == "seed" else 1
            if type(value) is not int or value < least:
                raise ValueError(
                    f"{name} must be a whole number of at least {least}, got {value!r}"
                )
        elif isinstance(value, float) and not (value > 0 and math.isfinite(value)):
            raise ValueError(f"{name} must be a positive number, got {value!r}")


def new_run_dir(output_dir: Path | str) -> Path:
    """Make and return the folder of a new run: ``output_dir``/run-1, run-2, ...

    A run never writes into an older one's folder, so TensorBoard can't mix two runs' event
    files into one zigzag curve.

    Raises OSError if ``output_dir`` can't be written.
    """
    Path(output_dir).mkdir(parents=True, exist_ok=True)
    for number in itertools.count(1):
        run_dir = Path(output_dir) / f"run-{number}"
        try:
            run_dir.mkdir()
        except FileExistsError:
            continue
        return run_dir
