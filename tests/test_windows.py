"""What the course would meet on Windows, looked for in its source, since none of this runs there.

Two ways: mypy, which knows what Python lacks on Windows, and a list of what is there and does
something else. Every use of the second kind stands in USES, with the reason why it may.
"""

import ast
import subprocess
import sys
from itertools import chain

import nbformat
import pytest

from tests.conftest import CHAPTERS, ROOT

OURS = [*sorted((ROOT / "helpers").rglob("*.py")), ROOT / ".ci" / "bundle.py"]
OURS += [ROOT / ".ci" / "torch_build.py", *sorted((ROOT / "docs").glob("*.py"))]
OURS += [ROOT / "tests" / "run_notebooks.py"]
"""What a reader runs, who may have Windows; the tests are for those who have make."""

CALLS = {
    "rename": "refuses a target that is there, and a folder with an open file in it",
    "kill": "ends the process whatever the signal, or asks for nothing",
    "send_signal": "ends the process, whatever the signal",
    "umask": "has no effect",
    "chmod": "knows read-only, and no other right",
    "select": "takes sockets only, no pipe",
    "add_signal_handler": "isn't implemented",
    "add_reader": "isn't implemented in the loop that is the rule",
    "connect_read_pipe": "takes no standard input",
    "getppid": "is the number of what starts an environment's Python",
    "symlink_to": "is a right that few have",
    "symlink": "is a right that few have",
    "NamedTemporaryFile": "can't be opened a second time, nor renamed, while it is open",
    "quote": "quotes for a shell that Windows lacks",
    "system": "asks another shell",
    "expanduser": "doesn't look at HOME",
}
"""Functions and methods by name, and what they do on Windows."""

ARGUMENTS = {
    "mode": "knows read-only, and no other right",
    "preexec_fn": "isn't there",
    "pass_fds": "isn't there",
    "start_new_session": "has no effect",
    "process_group": "isn't there",
    "shell": "asks another shell",
}
"""Arguments by name, and what they do on Windows. A text mode "r" is none of these."""

USES = {}


POSIX_PATHS = ("/dev/", "/etc/", "/home/", "/proc/", "/tmp", "/usr/", "bin/")


def uses(source):
    """What in a source does something else on Windows: names from CALLS and ARGUMENTS, and these:

    "encoding", where text is read or written in the system's own, which is seldom UTF-8 there;
    "path", where a text begins as a path of Linux's does.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and node.attr in CALLS:
            yield node.attr
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


def found():
    return {(place, use) for place, source in sources() for use in uses(source)}


if __name__ == "__main__":
    for x in sorted(found()):
        print(x)
