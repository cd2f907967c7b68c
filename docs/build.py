"""Build the site from the chapters as they are stored; nothing is run.

    python docs/build.py [FOLDER]     # docs/_build by default

The site comes to FOLDER/site. Where the repository on GitHub is known, copies of the chapters for
Colab and Kaggle come to FOLDER/launch, and pages lead to the repository. A warning is an error.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from launch import write_copies
from stage import stage
from where import repository

DOCS = Path(__file__).resolve().parent


def build(folder: Path) -> None:
    """Build site and copies into ``folder``. Raises CalledProcessError if Sphinx complains."""
    known = repository(DOCS)
    stage(folder / "source", known)
    shutil.rmtree(folder / "launch", ignore_errors=True)
    if known:
        write_copies(folder / "launch", known)
    else:
        print("No repository on GitHub is known here: the pages get no buttons that lead there.")
    shutil.rmtree(folder / "site", ignore_errors=True)
    # Without the cache: a page whose picture changed must be written again.
    options = ["-b", "html", "-c", str(DOCS), "-d", str(folder / "doctrees"), "-E", "-q", "-W"]
    command = [sys.executable, "-m", "sphinx", *options, "--keep-going"]
    path = os.pathsep.join(
        filter(None, [str(DOCS), str(DOCS.parent), os.environ.get("PYTHONPATH")])
    )
    subprocess.run(
        [*command, str(folder / "source"), str(folder / "site")],
        env=os.environ | {"PYTHONPATH": path},
        check=True,
    )
    (folder / "site" / ".nojekyll").touch()


if __name__ == "__main__":
    place = Path(sys.argv[1]) if len(sys.argv) > 1 else DOCS / "_build"
    try:
        build(place.resolve())
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
    print(f"The site is in {place / 'site'}: open {place / 'site' / 'index.html'}")
