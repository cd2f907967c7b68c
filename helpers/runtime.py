"""How torch's threads wait and the C library keeps memory: what a process is told at its start.

The numbers are in ``runtime.env``, which make and a shell read too.
"""

from pathlib import Path

_LINES = Path(__file__).with_suffix(".env").read_text(encoding="utf-8").splitlines()

SETTINGS = dict(line.split("=") for line in _LINES if line and not line.startswith("#"))
"""Names of environment variables and their values. They act on a process that starts with them."""
