"""A cold start: make lab in a fresh clone with an empty pip cache, until JupyterLab answers.

    python tests/benchmarks/set_up.py

Downloads all that the course needs (about 3 GB on Linux x86-64) into a temporary folder.
"""

import os
import re
import signal
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

from machine import describe_machine

ROOT = Path(__file__).resolve().parent.parent.parent


def size_mb(folder):
    return sum(p.lstat().st_size for p in folder.rglob("*") if not p.is_dir()) / 1e6


def main():
    print(describe_machine())
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "course"
        subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
        start = time.perf_counter()
        make = subprocess.Popen(
            ["make", "lab", "LAB_ARGS=--no-browser --ip=127.0.0.1"],
            cwd=clone,
            env=os.environ | {"PIP_NO_CACHE_DIR": "1", "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            for line in make.stdout:
                if line.startswith(("Installing", "Setting up", "Adding", "Fetching")):
                    print(f"{time.perf_counter() - start:6.1f} s  {line.strip()}", flush=True)
                if found := re.search(r"http://127\.0\.0\.1:\d+/\S+", line):
                    urllib.request.urlopen(found[0]).close()
                    print(f"{time.perf_counter() - start:6.1f} s  JupyterLab answers", flush=True)
                    break
            else:
                raise SystemExit("make lab ended before JupyterLab answered")
        finally:
            os.killpg(make.pid, signal.SIGTERM)
            make.wait()
        (packages,) = (clone / ".venv").glob("lib/python3*/site-packages")
        sizes = sorted(
            ((size_mb(p), p.name) for p in packages.iterdir() if p.is_dir()), reverse=True
        )
        print(f"{size_mb(clone / '.venv'):8.0f} MB in .venv, of which")
        for megabytes, name in sizes[:8]:
            print(f"{megabytes:8.0f} MB  {name}")


if __name__ == "__main__":
    main()
