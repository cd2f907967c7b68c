"""The same rounding on every x86 machine, for what is recorded and what is compared with it.

Import it before torch. The settings, and what they are for, are in ``arithmetic.env``.
"""

import os
import platform
from pathlib import Path

from helpers.runtime import read_env

for name, value in read_env(Path(__file__).with_suffix(".env")).items():
    os.environ.setdefault(name, value)

ROUNDED_ALIKE = platform.machine() in ("x86_64", "AMD64")
"""False on other processors, as Apple's: what is trained there has other numbers."""
