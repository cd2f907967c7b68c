"""The same rounding on every x86 machine, for what is recorded and what is compared with it.

Import it before torch. The settings, and what they are for, are in ``arithmetic.env``.
"""

import os
import platform
from pathlib import Path

for line in Path(__file__).with_suffix(".env").read_text(encoding="utf-8").splitlines():
    if line and not line.startswith("#"):
        os.environ.setdefault(*line.split("="))

ROUNDED_ALIKE = platform.machine() in ("x86_64", "AMD64")
"""False on other processors, as Apple's: what is trained there has other numbers."""
