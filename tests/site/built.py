"""The site, built once for all tests that look at it."""

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from tests.conftest import ROOT

REPOSITORY = "someone/seeing-pytorch"
"""What the tests say the repository is, where it is to be known."""


def build(*arguments: str | Path, repository: str = "") -> subprocess.CompletedProcess:
    """Run `docs/build.py` where the repository is known to be this one, or nowhere."""
    return subprocess.run(
        [sys.executable, ROOT / "docs" / "build.py", *arguments],
        env=os.environ | {"GITHUB_REPOSITORY": repository, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )


def sphinx(source: Path, site: Path) -> subprocess.CompletedProcess:
    """Run Sphinx on a few pages of a test's own, with the site's settings."""
    return subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-W", "-c", ROOT / "docs", source, site],
        env=os.environ | {"GITHUB_REPOSITORY": "", "PYTHONPATH": f"{ROOT / 'docs'}:{ROOT}"},
        capture_output=True,
        text=True,
    )


@cache
def built(repository: str = "") -> Path:
    """The folder with ``site`` in it, and ``launch`` if there is a repository; built once."""
    folder = Path(tempfile.mkdtemp(prefix="seeing-pytorch-site-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    result = build(folder, repository=repository)
    assert result.returncode == 0, result.stdout + result.stderr
    return folder
