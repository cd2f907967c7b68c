"""What the course would meet on Windows, looked for in its source, since none of this runs there.

Two ways: mypy, which knows what Python lacks on Windows, and a list of what is there and does
something else. Every use of the second kind stands in USES, with the reason why it may.
"""

import ast
import re
import subprocess
import sys

import nbformat

from tests.conftest import CHAPTERS, ROOT

OURS = [*sorted((ROOT / "helpers").rglob("*.py")), ROOT / ".ci" / "bundle.py"]
OURS += [ROOT / ".ci" / "torch_build.py", *sorted((ROOT / "docs").glob("*.py"))]
OURS += [ROOT / "tests" / "run_notebooks.py"]
"""What a reader runs, who may have Windows; the tests are for those who have make."""

CALLS = {
    "os.rename": "refuses a target that is there, and a folder with an open file in it",
    ".rename": "refuses a target that is there, and a folder with an open file in it",
    "os.kill": "ends the process whatever the signal",
    ".send_signal": "ends the process whatever the signal",
    "os.umask": "has no effect",
    "os.chmod": "knows read-only, and no other right",
    ".chmod": "knows read-only, and no other right",
    "select.select": "takes sockets only, no pipe",
    ".add_signal_handler": "isn't implemented",
    ".connect_read_pipe": "takes no standard input",
    "os.getppid": "is the number of what starts an environment's Python",
    "os.symlink": "is a right that few have",
    ".symlink_to": "is a right that few have",
    "tempfile.NamedTemporaryFile": "can't be opened a second time nor renamed while it is open",
    "shlex.quote": "quotes for a shell that Windows lacks",
    "os.system": "asks another shell",
}
"""What is called, with its module or as a method, and what it does on Windows."""

ARGUMENTS = {
    "mode": "knows read-only, and no other right",
    "preexec_fn": "isn't there",
    "pass_fds": "isn't there",
    "start_new_session": "has no effect",
    "process_group": "isn't there",
    "shell": "asks another shell",
}
"""Arguments by name, and what they do on Windows."""

USES = {
    ("helpers/chapter.py", "mode"): "what is below a user's own folders is the user's own there",
    ("helpers/dask/sweep.py", "os.rename"): "what was there is removed; if it can't be, it is said",
    ("helpers/data.py", "path"): "Debian's folder, which isn't there then",
    ("helpers/data.py", "shlex.quote"): "elsewhere only",
    ("helpers/files.py", ".rename"): "a target that is there is looked at, and will do",
    ("helpers/pages/guard.py", "path"): "Linux's tables; without them a secret does it",
    ("helpers/pages/process.py", "os.umask"): "as for mode",
    ("helpers/pages/reach.py", "os.getppid"): "not found: the browser is taken to be here",
    ("helpers/pages/server.py", "start_new_session"): "CREATE_NEW_PROCESS_GROUP does it there",
    ("helpers/visdom/environments.py", "encoding"): "Visdom's JSON has no letter beyond ASCII",
    ("helpers/visdom/environments.py", "tempfile.NamedTemporaryFile"): "closed, then renamed",
    ("helpers/visdom/server.py", "mode"): "as in chapter.py",
    ("notebooks/04_visdom_gallery.ipynb", "encoding"): "only its lines are counted",
    ("tests/run_notebooks.py", ".rename"): "the kernel that had files open has ended by then",
    (".ci/bundle.py", "path"): "beside it, Scripts, which Windows has",
    (".ci/torch_build.py", "path"): "on Linux only",
}
"""Where each of them stands, and why it may."""

POSIX_PATHS = ("/dev/", "/etc/", "/home/", "/proc/", "/tmp", "/usr/", "bin/")


def uses(source):
    """What in a source does something else on Windows: names from CALLS and ARGUMENTS, and these:

    "encoding", where text is read or written in the system's own, which is seldom UTF-8 there;
    "path", where a text begins as a path of Linux's does.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute):
            module = node.value.id if isinstance(node.value, ast.Name) else ""
            names = (f"{module}.{node.attr}", f".{node.attr}")
            yield from [name for name in names if name in CALLS][:1]
        elif isinstance(node, ast.Constant) and str(node.value).startswith(POSIX_PATHS):
            yield "path"
        elif isinstance(node, ast.Call):
            words = {word.arg: word.value for word in node.keywords}
            for name, value in words.items():
                if name in ARGUMENTS and not isinstance(getattr(value, "value", None), str):
                    yield name
            if "encoding" not in words and is_text(node, words):
                yield "encoding"


def is_text(call, words):
    """Whether a call without ``encoding`` reads or writes text."""
    name = getattr(call.func, "attr", None) or getattr(call.func, "id", None)
    if name in ("read_text", "write_text"):
        return len(call.args) < (1 if name == "read_text" else 2)
    modes = [node.value for node in call.args if isinstance(node, ast.Constant)]
    modes += [words["mode"].value] if isinstance(words.get("mode"), ast.Constant) else []
    modes = [mode for mode in modes if str(mode).strip("rwxabt+") == ""]
    if name == "open" and (isinstance(call.func, ast.Name) or modes or not call.args):
        return not any("b" in mode for mode in modes)
    return "text" in words and name in ("run", "Popen", "check_output")


def sources():
    """What a reader runs, by its path."""
    for path in OURS:
        yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
    for path in CHAPTERS:
        cells = nbformat.read(path, as_version=4).cells
        code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
        yield f"notebooks/{path.name}", code


def test_what_windows_does_otherwise_is_used_where_that_is_known():
    found = {(place, use) for place, source in sources() for use in uses(source)}
    assert found - USES.keys() == set(), "find another way, or say in USES why it may stay"
    assert USES.keys() - found == set(), "this is no longer so"


SINS = """
import os, select, shlex, subprocess, tempfile
from pathlib import Path
os.rename("a", "b"); Path("a").rename("b"); os.kill(1, 15); p.send_signal(2); os.umask(0)
os.chmod("a", 0o600); Path("a").chmod(0o600); select.select([], [], []); os.getppid()
loop.add_signal_handler(2, print); loop.connect_read_pipe(None, None); os.system("ls")
os.symlink("a", "b"); Path("a").symlink_to("b"); tempfile.NamedTemporaryFile(); shlex.quote("a")
Path("a").mkdir(mode=0o700)
subprocess.Popen([], preexec_fn=f, pass_fds=[1], start_new_session=True)
subprocess.Popen("a", process_group=0, shell=True)
open("/tmp/a")
"""

TEXTS = {
    "open('a')": True,
    "open('a', 'w')": True,
    "open('a', 'rb')": False,
    "open('a', encoding='utf-8')": False,
    "path.open()": True,
    "path.open('wb')": False,
    "path.read_text()": True,
    "path.read_text('utf-8')": False,
    "path.write_text(text)": True,
    "path.write_text(text, 'utf-8')": False,
    "subprocess.run([], text=True)": True,
    "subprocess.run([], capture_output=True)": False,
    "subprocess.run([], text=True, encoding='utf-8')": False,
    "opener.open(address, data, 3)": False,
    "tarfile.open(path)": False,
}


def test_each_of_them_is_found():
    assert set(uses(SINS)) == CALLS.keys() | ARGUMENTS.keys() | {"encoding", "path"}
    assert {text: "encoding" in set(uses(text)) for text in TEXTS} == TEXTS


def what_windows_lacks(folder):
    """What mypy says that Python's own modules haven't got there, as "file: name", of a folder."""
    options = ["--platform=win32", "--follow-imports=skip", "--ignore-missing-imports"]
    options += ["--check-untyped-defs", "--no-error-summary", "--cache-dir=../cache"]
    command = [sys.executable, "-m", "mypy", *options, "."]
    result = subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8")
    assert result.returncode in (0, 1) and not result.stderr, result.stdout + result.stderr
    found = re.findall(r'^(.*?):\d+: error: Module has no attribute "(\w+)"', result.stdout, re.M)
    return {f"{file}: {name}" for file, name in found}


def test_nothing_is_used_that_windows_lacks(tmp_path):
    folder = tmp_path / "sources"
    for place, source in sources():
        # Flat, and under names that are Python's.
        name = re.sub(r"\W", "_", place.rpartition(".")[0]) + ".py"
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(source, encoding="utf-8")
    assert what_windows_lacks(folder) == set()


def test_it_would_be_found(tmp_path):
    lines = ["import fcntl, os, pwd, resource, select, signal, socket", "def f():"]
    lines += [f"    {name}" for name in LACKED]
    (tmp_path / "sins").mkdir()
    (tmp_path / "sins" / "a.py").write_text("\n".join(lines))
    wanted = {f"a.py: {name.partition('.')[2]}" for name in LACKED}
    assert what_windows_lacks(tmp_path / "sins") == wanted


LACKED = (
    *("fcntl.flock", "os.getuid", "os.killpg", "os.fork", "os.setsid", "os.sched_getaffinity"),
    *("pwd.getpwuid", "resource.getrusage", "select.poll", "signal.SIGKILL", "signal.alarm"),
    "socket.AF_UNIX",
)
