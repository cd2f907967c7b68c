"""A folder that make takes for set up, with the environment that is here."""

import shutil
import sys
from pathlib import Path

from tests.conftest import ROOT

MAKE = ["make", f"PYTHON={sys.executable}"]
"""The command, which then needs a target."""


def add_make(folder: Path) -> None:
    """Copy the Makefile into a folder, and what it reads and calls before a target."""
    shutil.copytree(ROOT / ".ci", folder / ".ci", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "helpers").mkdir(exist_ok=True)
    for name in ("Makefile", "pyproject.toml", "constraints.txt", "helpers/runtime.env"):
        shutil.copy(ROOT / name, folder / name)


def set_up_already(folder: Path, *stamps: str) -> None:
    """Put an environment into a folder that has a Makefile: this one, under make's stamps."""
    program = folder / ".venv" / "bin" / "python"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    program.chmod(0o755)
    for stamp in stamps:
        (folder / ".venv" / stamp).touch()
