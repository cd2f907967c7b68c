"""Every command in the README is typed, where the reader would type it.

That is a copy of the course with an environment as `make lab` leaves it: it has what the course
asks for and nothing that only the tests bring, and its programs aren't on the path.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
from importlib.metadata import distribution
from pathlib import Path
from types import SimpleNamespace

import pytest

from helpers.data import SAMPLE_DIR
from tests.conftest import ROOT
from tests.offline import look_at_jupyterlab
from tests.requirements import needed

README = (ROOT / "README.md").read_text(encoding="utf-8")
PROGRAMS = "conda git jupyter make papermill pip python sh"


def commands(text):
    """The commands in Markdown: lines of shell blocks, and code that begins with a program."""
    for block in re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S):
        yield from re.sub(r"\\\n\s*", "", block).splitlines()
    prose = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    for code in re.findall(r"`([^`]+)`", prose):
        program = Path(code.split()[0]).name if code.split() else ""
        if program in PROGRAMS.split() and len(code.split()) > 1:
            yield " ".join(code.split())


COMMANDS = sorted(set(commands(README)))


def lab_environment(folder, course):
    """An environment that has what `make lab` installs, linked from the one that is here."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    here, site = (
        Path(sysconfig.get_path("purelib")),
        Path(*folder.glob("lib/python*/site-packages")),
    )
    project = tomllib.loads((course / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for name in needed([*project["dependencies"], "setuptools", "wheel"]):
        package = distribution(name)
        for file in package.files:
            if file.parts[0] != "..":
                source, target = here / file.parts[0], site / file.parts[0]
            else:
                source = Path(os.path.normpath(here / file))
                target = folder / source.relative_to(sys.prefix)
            if target.parent.name != "bin" and not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                target.symlink_to(source)
        for script in package.entry_points.select(group="console_scripts"):
            program = folder / "bin" / script.name
            program.write_text(
                f"#!{folder}/bin/python\nimport sys\nfrom {script.module} import {script.attr}\n"
                f"sys.exit({script.attr}())\n"
            )
            program.chmod(0o755)
    (site / "course.pth").write_text(f"{course}\n")
    (folder / "share" / "seeing-pytorch").symlink_to(Path(sys.prefix, "share", "seeing-pytorch"))


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """The reader's folder, and a function that types a command there."""
    folder = tmp_path_factory.mktemp("reader")
    course, home = folder / "course", folder / "home"
    home.mkdir()
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (course / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, course / name)
    lab_environment(course / ".venv", course)
    (course / ".venv" / ".lab").touch()
    own = Path(sys.executable).parent
    path = [place for place in os.environ["PATH"].split(os.pathsep) if Path(place) != own]
    variables = {"HOME": str(home), "PATH": os.pathsep.join(path), "BROWSER": "true"}
    activated = variables | {"PATH": os.pathsep.join([f"{course}/.venv/bin", *path])}

    def type_in(command, conda=False):
        return subprocess.run(
            command,
            shell=True,
            cwd=course,
            env=activated if conda else variables,
            capture_output=True,
            text=True,
        )

    return SimpleNamespace(
        course=course, type=type_in, variables=variables, activated=activated, path=path
    )


def test_the_environment_is_the_readers(reader):
    """Else the rest would prove nothing: a program of the tests alone is not there."""
    assert reader.type("papermill --version").returncode == 127
    assert reader.type(".venv/bin/papermill --version").returncode == 0
    for module in ("pytest", "playwright", "ruff"):
        assert reader.type(f".venv/bin/python -c 'import {module}'").returncode == 1
    assert reader.type(".venv/bin/python -c 'import torch, visdom, helpers'").returncode == 0


# ---- what is typed, or what stands for it, by how a command begins ----


def opens_jupyterlab(reader, command):
    activated = command.startswith("jupyter")
    if activated and os.getuid() == 0:  # make says so itself
        command += " --allow-root"
    variables = reader.activated if activated else reader.variables
    home = tempfile.mkdtemp(dir=reader.course.parent)
    look_at_jupyterlab(f"exec {command}", reader.course, variables | {"HOME": home})


def runs_a_chapter(reader, command):
    """With the sample in place of all of MNIST, and for two epochs."""
    raw = reader.course / "data" / "MNIST" / "raw"
    shutil.copytree(SAMPLE_DIR, raw, dirs_exist_ok=True)
    result = reader.type(f"{command} -p epochs 2")
    assert result.returncode == 0, result.stderr[-2000:]
    out = shlex.split(command)[2]
    assert (reader.course / out).is_file()
    (reader.course / out).unlink()


def is_a_target(reader, command):
    """Its commands are those of the tests of the Makefile; what they call is tested by itself."""
    words = [word for word in shlex.split(command) if word not in ("make", "...")]
    target = next(word for word in words if "=" not in word)
    (reader.course / ".venv" / ".test").touch()
    try:
        result = reader.type(f"make --dry-run {shlex.join(words)}")
        assert result.returncode == 0, result.stderr
        assert re.search(rf"^make {target} ", reader.type("make help").stdout, re.M)
    finally:
        (reader.course / ".venv" / ".test").unlink()


def names_what_is_there(reader, command):
    """No conda here: the file that it is given is there, and makes the environment so named."""
    environment = (reader.course / "environment.yml").read_text(encoding="utf-8")
    (name,) = re.findall(r"^name: (.*)$", environment, re.M)
    assert command in ("conda env create --file environment.yml", f"conda activate {name}")


def asks_for_known_extras(reader, command):
    """No index here: pip is asked for what is in pyproject.toml, below the constraints."""
    words = shlex.split(command)
    assert words[:3] == ["pip", "install", "--constraint"] and words[4] == "--editable"
    assert (reader.course / words[3]).is_file()
    extras = re.fullmatch(r"\.\[([\w,]+)\]", words[5]).group(1).split(",")
    project = tomllib.loads((reader.course / "pyproject.toml").read_text(encoding="utf-8"))
    assert set(extras) <= set(project["project"]["optional-dependencies"])
    assert len(words) == 6


def is_a_script(reader, command):
    """Which compiles and is there; what it does is tested by itself."""
    result = reader.type(f"python -m py_compile {shlex.split(command)[1]}", conda=True)
    assert result.returncode == 0, result.stderr


def finds_no_bundle(reader, command):
    """There is none at that address: so it says."""
    result = reader.type(command, conda=True)
    assert result.returncode == 1
    assert result.stderr.startswith("There is no bundle in ")


def is_a_module(reader, command):
    """Which is there with all that it imports; what it does is tested by itself."""
    result = reader.type(f"python -c 'import {shlex.split(command)[2]}'", conda=True)
    assert result.returncode == 0, result.stderr


def is_git_itself(reader, command):
    assert command in ("git diff", "git pull")


WAYS = {
    "make lab": opens_jupyterlab,
    "jupyter lab notebooks": opens_jupyterlab,
    ".venv/bin/papermill ": runs_a_chapter,
    "make ": is_a_target,
    "conda ": names_what_is_there,
    "pip ": asks_for_known_extras,
    "python .ci/bundle.py install ": finds_no_bundle,
    "python .ci/bundle.py write ": is_a_script,
    "python docs/": is_a_script,
    ".venv/Scripts/jupyter lab notebooks": lambda reader, command: opens_jupyterlab(
        reader, command.removeprefix(".venv/Scripts/")
    ),
    "python -m helpers.update": is_a_module,
    "git ": is_git_itself,
}
"""How a command is tried: the first that it is or, if that ends in " " or "/", begins with."""


def way(command):
    for known, how in WAYS.items():
        if command == known or (known[-1] in " /" and command.startswith(known)):
            return how
    return None


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_readme_works(reader, command):
    assert way(command), f"the README has a command that no test types: {command}"
    way(command)(reader, command)


def test_every_way_is_one_that_the_readme_goes():
    used = {id(way(command)) for command in COMMANDS}
    assert {id(how) for how in WAYS.values()} <= used


def test_an_unknown_command_would_be_found():
    text = "Type `papermill a b`, `make`, or `x y`.\n```sh\nmake la\\\n  b\nrm -r x\n```\n"
    assert list(commands(text)) == ["make lab", "rm -r x", "papermill a b"]
    assert way("rm -r x") is way("papermill a b") is None
