"""A copy for Colab and Kaggle sets itself up where there is torch and nothing of the course."""

import ast
import json
import os
import re
import subprocess
import sys
import tomllib

import nbformat
import papermill
import pytest
import yaml

from tests.conftest import CHAPTERS, ROOT, SHORT_PARAMETERS
from tests.site.built import REPOSITORY, built
from tests.test_windows import sources


def copies():
    return built(REPOSITORY) / "launch"


@pytest.fixture
def source(tmp_path):
    """A repository for git to fetch the course from, as it lies here."""
    kept = tmp_path / "source"
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (kept / name).parent.mkdir(parents=True, exist_ok=True)
            (kept / name).write_bytes((ROOT / name).read_bytes())
    for command in (
        ["init", "--quiet", "--initial-branch=main"],
        ["add", "--all"],
        ["-c", "user.name=n", "-c", "user.email=e@invalid", "commit", "--quiet", "-m", "all"],
    ):
        subprocess.run(["git", *command], cwd=kept, check=True)
    return kept


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_copy_is_the_chapter_with_one_cell_more_and_no_outputs(path):
    copy = nbformat.read(copies() / path.name, as_version=4)
    nbformat.validate(copy)
    chapter = nbformat.read(path, as_version=4)
    added = copy.cells.pop(1)
    assert [cell.source for cell in copy.cells] == [cell.source for cell in chapter.cells]
    assert not any(cell.get("outputs") for cell in copy.cells)
    assert f"https://github.com/{REPOSITORY}" in added.source
    compile(added.source, path.name, "exec")


def set_up(source):
    """The first cell of a copy, fetching from ``source``."""
    cell = nbformat.read(copies() / CHAPTERS[0].name, as_version=4).cells[1].source
    return cell.replace(f"https://github.com/{REPOSITORY}", source.as_uri())


PIP = """\
import json, sys
# Stands for pip: notes what it is asked for.
with open({log!r}, "a") as log:
    lines = open(sys.argv[sys.argv.index("--constraint") + 1]).read().split()
    print(json.dumps([sys.argv[1:], lines]), file=log)
"""


def test_the_set_up_never_touches_the_torch_that_is_there(tmp_path, source):
    """On a machine with an older torch and without half of the rest, only the rest is asked for."""
    site, work, log = tmp_path / "site", tmp_path / "work", tmp_path / "log"
    work.mkdir()
    there = {"torch": "2.6.0", "torchvision": "0.21.0", "numpy": "2.0.2", "matplotlib": "3.10.0"}
    there["ipython"] = "7.34.0"  # older than the course asks for, and what this very cell runs in
    for name, version in there.items():
        folder = site / f"{name}-{version}.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
    (site / "pip").mkdir()
    (site / "pip" / "__init__.py").touch()
    (site / "pip" / "__main__.py").write_text(PIP.format(log=str(log)))
    import packaging

    (site / "packaging").symlink_to(os.path.dirname(packaging.__file__))
    # Not this environment's packages, as a machine of Colab's hasn't.
    isolated = "import sys; sys.path = [p for p in sys.path if 'site-packages' not in p]\n"
    script = (
        isolated + set_up(source) + "\nimport helpers; print(helpers.__file__); print(os.getcwd())"
    )
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    environment["PYTHONPATH"] = str(site)
    result = subprocess.run(
        [sys.executable, "-S", "-c", script],
        cwd=work,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    arguments, constraints = json.loads(log.read_text())
    assert arguments[0] == "install"
    assert set(constraints) == {"torch==2.6.0", "torchvision==0.21.0", "numpy==2.0.2"}
    asked = {re.split(r"[<>=!~]", word)[0] for word in arguments if not word.startswith("-")}
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    wanted = {re.split(r"[<>=!~]", text)[0] for text in dependencies}
    served = {name for name in wanted if name.startswith("jupyter")} | {"nbgitpuller", "papermill"}
    assert len(served) == 5
    assert asked & wanted == wanted - there.keys() - served
    helpers, folder = result.stdout.splitlines()[-2:]
    assert helpers == str(work / "seeing-pytorch" / "helpers" / "__init__.py")
    assert folder == str(work / "seeing-pytorch" / "notebooks")


def test_a_torch_that_is_too_old_is_named_and_left(tmp_path, source):
    folder = tmp_path / "site" / "torch-2.1.0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 2.1.0\n")
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "site")}
    command = [sys.executable, "-c", set_up(source)]
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert result.returncode != 0
    assert "The course needs torch>=" in result.stderr


COLAB = """\
# Stands for what Colab's kernels have imported: asks the page where a port can be reached.
import sys, types
sys.modules["google.colab"] = types.ModuleType("google.colab")
sys.modules["google.colab"].output = types.SimpleNamespace(
    eval_js=lambda asked, timeout_sec: f"https://colab.example/{asked.split('.')[-1]}/"
)
"""


def test_a_copy_runs_where_the_course_is_not(tmp_path, source):
    """From its first cell to its last, in a kernel that can't import `helpers` from elsewhere."""
    path = next(path for path in CHAPTERS if path.stem.startswith("03"))
    copy = nbformat.read(copies() / path.name, as_version=4)
    copy.cells[1].source = (
        # The editable install of this environment isn't there on Colab, and neither is PYTHONPATH.
        "import sys\nsys.meta_path = [f for f in sys.meta_path if '__editable__' not in repr(f)]\n"
        + COLAB
        + set_up(source)
        + "\nimport helpers\nassert 'seeing-pytorch' in helpers.__file__, helpers.__file__"
    )
    page = "from helpers.tensorboard import TensorBoardServer\nTensorBoardServer(output_dir)"
    copy.cells.append(nbformat.v4.new_code_cell(page))
    nbformat.write(copy, tmp_path / "copy.ipynb")
    run = papermill.execute_notebook(
        tmp_path / "copy.ipynb",
        tmp_path / "run.ipynb",
        parameters=SHORT_PARAMETERS.get(path.stem, {}) | {"output_dir": str(tmp_path / "out")},
        kernel_name="python3",
        cwd=tmp_path,
        progress_bar=False,
    )
    assert any((tmp_path / "out").iterdir())
    assert (tmp_path / "seeing-pytorch" / "notebooks" / path.name).is_file()
    drawn = [
        o for cell in run.cells for o in cell.get("outputs", []) if "image/png" in o.get("data", {})
    ]
    assert drawn
    assert "https://colab.example/proxyPort(" in run.cells[-1].outputs[0].data["text/html"]


def test_no_picture_asks_for_what_an_ipython_of_colab_s_has_not():
    """Its IPython 7 knows no ``Image(alt=...)``; the same stands in ``metadata``."""
    found = []
    for place, source in sources():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Image":
                found.append((place, {keyword.arg for keyword in node.keywords}))
    assert len(found) >= 3
    for place, keywords in found:
        assert "metadata" in keywords and "alt" not in keywords, place


def test_binder_brings_what_the_course_needs():
    root = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    binder = yaml.safe_load((ROOT / "binder" / "environment.yml").read_text())["dependencies"]
    assert binder[:-1] == root[:-1]
    lines = binder[-1]["pip"]
    # conda runs pip in the file's own folder.
    assert "--constraint ../constraints.txt" in lines and "--editable .." in lines
    assert (ROOT / "binder" / ".." / "constraints.txt").is_file()


def test_binder_s_last_step_ends_well_also_without_a_network(tmp_path):
    assert os.access(ROOT / "binder" / "postBuild", os.X_OK)
    (tmp_path / "python").write_text('#!/bin/sh\necho "$@"; exit 1\n')
    (tmp_path / "python").chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    step = ROOT / "binder" / "postBuild"
    result = subprocess.run([step], env=environment, capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (0, "-m helpers.visdom\n")


def test_codespaces_sets_up_what_make_lab_sets_up():
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    target = container["postCreateCommand"].removeprefix("make ")
    listed = subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True)
    assert listed.returncode == 0, listed.stderr
    version = re.search(r":(3\.\d+)-", container["image"]).group(1)
    assert version in ("3.11", "3.12", "3.13")
    assert {"graphviz", "npm"} <= set(container["onCreateCommand"].split())
