"""How torch's threads wait and the C library keeps memory: what a process is told at its start.

The numbers are in ``runtime.env``, which make and a shell read too. A kernel that was started
without them (by conda, by VS Code) gets from ``settle`` what can still be set.
"""

import os
import sys
import threading
from pathlib import Path


def read_env(path: Path) -> dict[str, str]:
    """The variables and values of an ``.env`` file: NAME=VALUE, a line each; # begins a remark."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


SETTINGS = read_env(Path(__file__).with_suffix(".env"))
"""Names of environment variables and their values. They act on a process that starts with them."""


def settle() -> None:
    """Have torch's threads not spin for long while they wait, unless the environment decides it.

    Before torch is loaded by setting the variables, which its OpenMP reads then. Afterwards by
    a crowd: GNU's OpenMP cuts spinning to 100 rounds as long as it has more threads than there
    are cores (its manual, under GOMP_SPINCOUNT), so some idle ones are kept. The number of
    threads that compute stays, and with it every result.
    """
    if {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "OMP_NUM_THREADS"} & os.environ.keys():
        return
    if "torch" not in sys.modules:
        os.environ.update({name: SETTINGS[name] for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")})
    elif sys.platform == "linux":  # macOS and Windows have another OpenMP
        there = threading.Event()
        threading.Thread(
            target=_crowd, args=[there], name="keeps idle threads", daemon=True
        ).start()
        there.wait(10)  # who ends while it computes is aborted


def _crowd(there: threading.Event) -> None:
    import torch

    # What is computed in a Python thread gets threads of its own, which stay as long as it does.
    torch.ones(1 << 20).sqrt_()
    there.set()
    threading.Event().wait()
