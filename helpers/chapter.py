"""What every chapter does before it starts: check its parameters, find a place for its files."""

import itertools
import math
from numbers import Integral, Real
from pathlib import Path
from typing import NamedTuple

from helpers.data import DATASETS
from helpers.device import DEVICES


class Whole(NamedTuple):
    """A whole number from ``least`` to ``most``."""

    least: int
    most: float = math.inf

    def allows(self, value: object) -> bool:
        number = isinstance(value, Integral) and not isinstance(value, bool)
        return number and self.least <= value <= self.most

    def __str__(self) -> str:
        end = f" and at most {self.most}" if math.isfinite(self.most) else ""
        return f"a whole number of at least {self.least}{end}"


class Positive(NamedTuple):
    """A number above 0, whole or not."""

    def allows(self, value: object) -> bool:
        number = isinstance(value, Real) and not isinstance(value, bool)
        return number and value > 0 and math.isfinite(value)

    def __str__(self) -> str:
        return "a number above 0"


class OneOf(NamedTuple):
    """One of some texts."""

    choices: tuple[str, ...]

    def allows(self, value: object) -> bool:
        return isinstance(value, str) and value in self.choices

    def __str__(self) -> str:
        return "one of " + ", ".join(map(repr, self.choices))


PARAMETERS = {
    "dataset": OneOf(DATASETS),
    "epochs": Whole(1),
    "batch_size": Whole(1),
    "learning_rate": Positive(),
    "log_every": Whole(1),
    "seeds": Whole(1),
    "device": OneOf(DEVICES),
    "seed": Whole(0, 2**63 - 1),  # what torch takes, with room for seed + 1
}
"""What each parameter of a chapter may be. A new parameter gets its line here."""


def check_parameters(**parameters: object) -> None:
    """Check a chapter's parameters against ``PARAMETERS``, before anything is written.

    Raises ValueError naming the parameter, what it should be, and its value; TypeError for a
    parameter that isn't declared.
    """
    for name, value in parameters.items():
        if name not in PARAMETERS:
            raise TypeError(f"nothing says what {name} may be: add a line to PARAMETERS")
        if not PARAMETERS[name].allows(value):
            raise ValueError(
                f"{name} must be {PARAMETERS[name]}, got {value!r}{_remedy(name, value)}"
            )


def _remedy(name: str, value: object) -> str:
    """What to write in place of a number that came as text."""
    try:
        number = float(value) if isinstance(value, str) else math.nan
    except ValueError:
        number = math.nan
    if number.is_integer() and PARAMETERS[name].allows(int(number)):
        return f", which is text: write {int(number)}"
    if PARAMETERS[name].allows(number):
        mantissa, *exponent = repr(number).split("e")
        text = "e".join([mantissa if "." in mantissa else f"{mantissa}.0", *exponent])
        return f", which is text (as YAML takes an exponent without a dot): write {text}"
    return ""


def new_run_dir(output_dir: Path | str) -> Path:
    """Make and return the folder of a new run: ``output_dir``/run-1, run-2, ...

    A run never writes into an older one's folder, so TensorBoard can't mix two runs' event
    files into one zigzag curve. Other users of the machine can't look into it.

    Raises OSError, which says what is in the way, if the folder can't be made.
    """
    if not isinstance(output_dir, Path | str) or not str(output_dir).strip():
        raise ValueError(f"output_dir must be the path of a folder, got {output_dir!r}")
    try:
        Path(output_dir).mkdir(parents=True, exist_ok=True)
        for number in itertools.count(1):
            run_dir = Path(output_dir) / f"run-{number}"
            try:
                run_dir.mkdir(mode=0o700)
            except FileExistsError:
                continue
            return run_dir
    except OSError as error:
        path = Path(output_dir).absolute()
        file = next((part for part in (path, *path.parents) if part.is_file()), None)
        reason = f"{file} is a file" if file else error.strerror
        raise type(error)(
            f"no folder for this run can be made in output_dir = {str(output_dir)!r}: {reason}. "
            "Choose a folder that you can write to."
        ) from None
