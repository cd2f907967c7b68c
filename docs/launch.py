"""Copies of the chapters for machines of others, and the buttons that open them.

Colab and Kaggle open one notebook, and nothing of what lies beside it. A copy starts with a cell
that fetches the rest; it never touches the torch, torchvision or numpy that are there, nor the
IPython and Jupyter that run the notebook, which are often older than those a reader installs.
Binder and Codespaces open the whole repository, and need no copy.
"""

from pathlib import Path

import nbformat
from chapters import NOTEBOOKS
from where import BRANCH

COPIES = "launch"
"""The branch that the copies are published on."""

SET_UP = """\
# Added for Colab and Kaggle. Fetches the course and installs what is missing here; torch,
# torchvision and numpy stay as they are, and so does what runs this notebook.
import os, shutil, subprocess, sys, tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from packaging.requirements import Requirement

course = Path("seeing-pytorch").resolve()
if not course.exists():
    fetch = ["git", "clone", "--quiet", "--depth=1", "--branch={branch}", "{source}", str(course)]
    subprocess.run(fetch, check=True)


def is_here(requirement):
    try:
        return requirement.specifier.contains(version(requirement.name), prereleases=True)
    except PackageNotFoundError:
        return False


project = tomllib.loads((course / "pyproject.toml").read_text())["project"]
needed = [Requirement(text) for text in project["dependencies"]]
kept = [one for one in needed if one.name in ("torch", "torchvision", "numpy")]
for one in kept:
    if not is_here(one):
        raise RuntimeError(f"The course needs {{one}}, and this machine brings another or none.")
runs_notebooks = "ipython jupyter-server-proxy jupyter_server jupyterlab nbgitpuller papermill"
wanted = [one for one in needed if one not in kept and one.name not in runs_notebooks.split()]
missing = [str(one) for one in wanted if not is_here(one)]
if missing:
    constraints = course / "kept.txt"
    pins = [f"{{one.name}}=={{version(one.name)}}\\n" for one in kept]
    constraints.write_text("".join(pins))
    build = course / "build.txt"  # visdom 0.2.4 needs this to build, in any pip
    build.write_text("setuptools<82\\n")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--constraint", str(constraints)]
    variables = {{"PIP_CONSTRAINT": str(build), "PIP_BUILD_CONSTRAINT": str(build)}}
    subprocess.run([*pip, *missing], env=os.environ | variables, check=True)
if not shutil.which("dot"):
    subprocess.run("apt-get -qq update && apt-get -qq install graphviz", shell=True, check=True)

sys.path.insert(0, str(course))
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(course), os.getenv("PYTHONPATH")]))
os.chdir(course / "notebooks")"""


def write_copies(folder: Path, repository: str, source: str | None = None) -> None:
    """Write a copy of each chapter, without outputs and with a first cell that sets it up.

    ``repository`` is "owner/name" on GitHub, and ``source`` what git fetches, if it isn't that.
    """
    source = source or f"https://github.com/{repository}"
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        cell = nbformat.v4.new_code_cell(SET_UP.format(branch=BRANCH, source=source), id="set-up")
        notebook.cells.insert(1, cell)
        nbformat.write(notebook, folder / path.name)


def buttons(stem: str, repository: str) -> str:
    """The line under a chapter's title on the site: where else than at home it can be run."""
    copy = f"github.com/{repository}/blob/{COPIES}/{stem}.ipynb"
    places = {
        "Colab": f"https://colab.research.google.com/github/{repository}/blob/{COPIES}/{stem}.ipynb",
        "Kaggle": f"https://kaggle.com/kernels/welcome?src=https://{copy}",
        "Binder": f"https://mybinder.org/v2/gh/{repository}/{BRANCH}?labpath=notebooks/{stem}.ipynb",
        "Codespaces": f"https://codespaces.new/{repository}",
    }
    links = " · ".join(f"[{place}]({address})" for place, address in places.items())
    return f"*Run it without installing anything:* {links}"
