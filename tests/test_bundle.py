"""The course on a stick: written, looked at, and set up from, with tiny wheels in place of large.

With the real ones, in a network namespace that has nothing but loopback: tests/offline.py.
"""

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.conftest import ROOT
from tests.wheels import index, make_wheel

SCRIPT = Path(".ci", "bundle.py")

PYPROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "course"
version = "1"
dependencies = ["torch>=2", "torchvision", "numpy", "visdom"]
"""

BACKEND = """\
from pathlib import Path
from tests_wheels import make_wheel

def build_editable(folder, *_):
    return make_wheel(Path(folder), "course", "1", requires=DEPENDENCIES).name
"""

SETUP = """\
from setuptools import setup
import pkg_resources  # as visdom's
setup(name="visdom", version="0.2.4", py_modules=[])
"""

PAGE = """\
import sys
from pathlib import Path
Path(sys.prefix, "page.txt").write_text(" ".join(sys.argv[1:]))
"""
"""In place of helpers/visdom/__main__.py, which the tiny environment couldn't import."""

DATA = """\
from pathlib import Path
DEBIAN_FASHION_DIR = Path("/nonexistent")
is_complete = Path.is_dir
"""
"""In place of helpers/data.py, which takes seconds to import torch."""

NPM = """\
#!/bin/sh
for spec in "$@"; do
    case $spec in *@*) echo "$spec" >"$(echo "$spec" | tr @ -).tgz" ;; esac
done
"""


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A course with the same scripts and a few tiny packages, under git."""
    folder = tmp_path_factory.mktemp("a class") / "course"
    shutil.copytree(ROOT / ".ci", folder / ".ci")
    shutil.copytree(ROOT / "helpers", folder / "helpers")
    (folder / "helpers/visdom/__init__.py").write_text("")
    (folder / "helpers/visdom/__main__.py").write_text(PAGE)
    (folder / "helpers/data.py").write_text(DATA)
    (folder / "pyproject.toml").write_text(PYPROJECT)
    backend = BACKEND.replace("DEPENDENCIES", repr(("torch", "torchvision", "numpy", "visdom")))
    (folder / "backend.py").write_text(backend)
    shutil.copy(ROOT / "tests" / "wheels.py", folder / "tests_wheels.py")
    pins = ["torch==2.14.1", "torchvision==0.29.1", "numpy==2.4.6", "visdom==0.2.4"]
    pins += ["setuptools==81.0.0", "wheel==0.48.0"]
    (folder / "constraints.txt").write_text("\n".join(pins) + "\n")
    for dataset in ("MNIST", "FashionMNIST"):
        raw = folder / "data" / dataset / "raw"
        raw.mkdir(parents=True)
        for name in ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"):
            (raw / name).write_bytes(name.encode())
    (folder / ".gitignore").write_text("data/\n.venv/\n__pycache__/\n")
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=An edition")
    return folder


def git(folder, *words):
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    subprocess.run(["git", "-C", folder, *who, *words], check=True)


@pytest.fixture(scope="module")
def indexes(tmp_path_factory):
    """What stands for PyPI, with a package that is built from source, and for PyTorch's index."""
    folder = tmp_path_factory.mktemp("indexes")
    with index(folder / "pypi") as pypi, index(folder / "cpu") as cpu:
        for name, version in [("torch", "2.14.1"), ("torchvision", "0.29.1"), ("numpy", "2.4.6")]:
            make_wheel(pypi.folder, name, version)
        make_wheel(pypi.folder, "numpy", "99.0")
        make_wheel(pypi.folder, "setuptools", "81.0.0")
        make_wheel(pypi.folder, "wheel", "0.48.0")
        for name, version in [("torch", "2.14.1+cpu"), ("torchvision", "0.29.1+cpu")]:
            make_wheel(cpu.folder, name, version)
        source = folder / "visdom-0.2.4"
        source.mkdir()
        (source / "setup.py").write_text(SETUP)
        with tarfile.open(pypi.folder / "visdom-0.2.4.tar.gz", "w:gz") as archive:
            archive.add(source, source.name)
        yield SimpleNamespace(pypi=pypi, cpu=cpu)


def write(course, stick, indexes, *words, npm=NPM):
    """``bundle.py write``, in this environment, with the indexes and a fake npm."""
    path = stick.parent / "bin"
    path.mkdir(exist_ok=True)
    (path / "npm").write_text(npm)
    (path / "npm").chmod(0o755)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PIP_")}
    environment |= {"PATH": f"{path}{os.pathsep}{os.environ['PATH']}", "PIP_NO_CACHE_DIR": "1"}
    environment |= {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": indexes.pypi.address}
    environment |= {"TORCH_INDEX": indexes.cpu.address, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    environment.pop("PYTHONPATH", None)
    command = [sys.executable, SCRIPT, "write", stick, *words]
    return subprocess.run(command, cwd=course, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def stick(course, indexes, tmp_path_factory):
    folder = tmp_path_factory.mktemp("media") / "a stick"
    result = write(course, folder, indexes)
    assert result.returncode == 0, result.stderr
    assert re.fullmatch(r".*/a stick: 27 files, \d+ MB\n", result.stdout), result.stdout
    return folder


@pytest.fixture
def copy(stick, tmp_path):
    """A stick to be damaged."""
    return Path(shutil.copytree(stick, tmp_path / "stick"))


def test_the_stick_holds_what_the_set_up_asks_for(stick, course):
    assert {path.name for path in stick.iterdir()} == {
        *("SHA256SUMS", "bundle.json", "README.txt", "wheels", "npm", "datasets", "course.git")
    }
    # The CPU build, the versions of the constraints, and visdom built.
    assert {path.name for path in (stick / "wheels").iterdir()} == {
        "numpy-2.4.6-py3-none-any.whl",
        "setuptools-81.0.0-py3-none-any.whl",
        "torch-2.14.1+cpu-py3-none-any.whl",
        "torchvision-0.29.1+cpu-py3-none-any.whl",
        "visdom-0.2.4-py3-none-any.whl",
        "wheel-0.48.0-py3-none-any.whl",
    }
    assert len(list((stick / "datasets" / "MNIST" / "raw").iterdir())) == 2
    assert len((stick / "README.txt").read_text().splitlines()) == 10


def test_the_list_of_sums_is_one_that_sha256sum_reads(stick):
    listed = dict(
        reversed(line.split("  ")) for line in (stick / "SHA256SUMS").read_text().splitlines()
    )
    there = [path for path in stick.rglob("*") if path.is_file() and path.name != "SHA256SUMS"]
    assert set(listed) == {path.relative_to(stick).as_posix() for path in there}
    for path in there:
        name = path.relative_to(stick).as_posix()
        assert listed[name] == hashlib.sha256(path.read_bytes()).hexdigest()


def install(stick, course, tmp_path, *words):
    """``bundle.py install`` in a clone, with an empty home, and no way out but a dead one."""
    home = tmp_path / "home"
    home.mkdir(exist_ok=True)
    environment = {"HOME": str(home), "PATH": os.environ["PATH"], "PIP_INDEX_URL": "http://[::1]:9"}
    environment |= {f"{kind}_proxy": "http://127.0.0.1:9" for kind in ("http", "https")}
    command = [sys.executable, SCRIPT, "install", stick, *words]
    return subprocess.run(command, cwd=course, env=environment, capture_output=True, text=True)


def test_from_the_stick_alone_the_course_is_set_up(stick, course, indexes, tmp_path):
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", stick / "course.git", clone], check=True)
    own = clone / "data" / "FashionMNIST"
    own.mkdir(parents=True)
    (own / "own").touch()
    asked = len(indexes.pypi.asked + indexes.cpu.asked)
    result = install(stick, clone, tmp_path)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    environment = clone / ".venv"
    frozen = subprocess.run(
        [environment / "bin" / "python", "-m", "pip", "freeze"], capture_output=True, text=True
    )
    found = {line.partition(" ")[0] for line in frozen.stdout.splitlines()}
    assert {"torch==2.14.1+cpu", "torchvision==0.29.1+cpu", "numpy==2.4.6"} < found
    assert "visdom==0.2.4" in found
    assert (environment / "page.txt").read_text() == str(stick / "npm")
    assert len(list((clone / "data" / "MNIST" / "raw").iterdir())) == 2
    assert len(indexes.pypi.asked + indexes.cpu.asked) == asked
    # A dataset that is there stays as it is.
    assert [path.name for path in own.rglob("*")] == ["own"]


def refused(stick, course, tmp_path):
    """What ``install`` says, in a sentence or two, before it has made anything."""
    result = install(stick, course, tmp_path, tmp_path / "environment")
    assert result.returncode == 1
    assert not (tmp_path / "environment").exists()
    (line,) = result.stderr.splitlines()
    return line


def about(stick, **changes):
    """Change what a stick says of itself, as if it came from elsewhere."""
    path = stick / "bundle.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_another_python_is_named_with_the_remedy(copy, course, tmp_path):
    about(copy, python="3.9")
    ours = f"{platform.system()} on {platform.machine()} with Python {sys.version_info.major}."
    line = refused(copy, course, tmp_path)
    assert f"is for {ours}9, and here is {ours}{sys.version_info.minor}: " in line
    assert line.endswith("install Python 3.9, and name it: PYTHON=python3.9")


@pytest.mark.parametrize("change", [{"system": "Windows"}, {"machine": "riscv64"}])
def test_another_system_or_processor_is_named(copy, course, tmp_path, change):
    about(copy, **change)
    line = refused(copy, course, tmp_path)
    assert next(iter(change.values())) in line
    assert line.endswith("take one that was made on a machine like this")


@pytest.mark.parametrize("here", [("glibc", "2.17"), ("glibc", "2.9"), ("", "")])
def test_an_older_linux_is_named(copy, course, monkeypatch, here):
    monkeypatch.syspath_prepend(ROOT / ".ci")
    import bundle

    monkeypatch.setattr(bundle, "ROOT", course)
    about(copy, glibc=[2, 28])
    monkeypatch.setattr(bundle.platform, "libc_ver", lambda: here)
    with pytest.raises(bundle.BundleError, match=r"needs a Linux with glibc 2\.28, and here is"):
        bundle.check(copy)
    monkeypatch.setattr(bundle.platform, "libc_ver", lambda: ("glibc", "2.100"))
    with pytest.raises(bundle.BundleError, match="json is damaged"):  # by us; it got that far
        bundle.check(copy)


def test_the_oldest_linux_is_that_of_the_wheels(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / ".ci")
    from bundle import glibc

    assert glibc(tmp_path) == [0, 0]
    for tag in ("py3-none-any", "cp311-cp311-manylinux_2_17_x86_64.manylinux_2_28_x86_64"):
        make_wheel(tmp_path, "one", "1", tag)
    assert glibc(tmp_path) == [2, 17]
    make_wheel(tmp_path, "two", "1", "cp311-cp311-manylinux_2_28_x86_64")
    assert glibc(tmp_path) == [2, 28]


def test_another_edition_is_named_and_the_sticks_own_is_at_hand(
    copy, course, tmp_path, monkeypatch
):
    newer = Path(shutil.copytree(course, tmp_path / "newer"))
    pins = newer / "constraints.txt"
    pins.write_text(pins.read_text().replace("numpy==2.4.6", "numpy==99.0"))
    line = refused(copy, newer, tmp_path)
    assert "is of another edition of the course" in line
    own = tmp_path / "own"
    subprocess.run([*line.partition("too, ")[2].replace('"', "").split(), own], check=True)
    monkeypatch.syspath_prepend(ROOT / ".ci")
    import bundle

    monkeypatch.setattr(bundle, "ROOT", own)
    bundle.check(copy)


def test_a_damaged_file_is_named(copy, course, tmp_path):
    wheel = copy / "wheels" / "numpy-2.4.6-py3-none-any.whl"
    content = bytearray(wheel.read_bytes())
    content[len(content) // 2] ^= 1
    wheel.write_bytes(content)
    assert refused(copy, course, tmp_path) == f"{wheel} is damaged. Copy the bundle anew."
    wheel.unlink()
    assert refused(copy, course, tmp_path) == f"{wheel} is missing. Copy the bundle anew."


def test_a_folder_without_a_bundle_and_one_that_was_never_finished(copy, course, tmp_path):
    assert refused(tmp_path, course, tmp_path).startswith(f"There is no bundle in {tmp_path}: ")
    (copy / "SHA256SUMS").unlink()
    assert "was never finished. Write or copy it anew." in refused(copy, course, tmp_path)


def test_a_second_writing_leaves_nothing_of_the_first(copy, course, indexes):
    (copy / "SHA256SUMS").unlink()  # nor of one that stopped
    (copy / "wheels" / "numpy-1.0-py3-none-any.whl").touch()
    (copy / "photos").mkdir()
    result = write(course, copy, indexes, "cuda")
    assert result.returncode == 0, result.stderr
    wheels = {path.name for path in (copy / "wheels").iterdir()}
    assert "numpy-1.0-py3-none-any.whl" not in wheels
    assert "torch-2.14.1-py3-none-any.whl" in wheels  # PyPI's
    assert (copy / "photos").is_dir()


def test_a_writing_that_fails_leaves_no_sums(copy, course, indexes):
    result = write(course, copy, indexes, npm="#!/bin/sh\necho nobody there >&2; exit 1\n")
    assert result.returncode == 1
    assert result.stderr.splitlines() == [
        "npm is needed for the page of chapter 4: npm pack failed, nobody there"
    ]
    assert not (copy / "SHA256SUMS").exists()
    assert "was never finished" in refused(copy, course, copy.parent)


def test_what_is_somebodys_own_is_not_overwritten(course, indexes, tmp_path):
    (tmp_path / "stick").mkdir()
    (tmp_path / "stick" / "README.txt").write_text("mine")
    line = write(course, tmp_path / "stick", indexes).stderr
    assert line.strip().endswith("README.txt is there, and isn't from a bundle. Name a new folder.")
    assert (tmp_path / "stick" / "README.txt").read_text() == "mine"
    (tmp_path / "file").touch()
    assert write(course, tmp_path / "file", indexes).stderr.strip().endswith("Name a folder.")
    assert "TORCH is cpu or cuda" in write(course, tmp_path / "new", indexes, "gpu").stderr
    assert not (tmp_path / "new").exists()
