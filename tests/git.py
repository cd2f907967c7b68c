"""Git, whatever the settings of this machine are."""

import os
import subprocess
from pathlib import Path

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

SETTINGS = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull} | {
    f"GIT_{role}_{what}": "teacher@example.org"
    for role in ("AUTHOR", "COMMITTER")
    for what in ("NAME", "EMAIL")
}


def git(folder: Path, *arguments: str) -> str:
    """What git says, asked in a folder."""
    result = subprocess.run(
        ["git", *arguments], cwd=folder, env=os.environ | SETTINGS, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def commit(folder: Path, message: str) -> None:
    """Commit all that is in the folder."""
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", message)


def three_that_git_cant_join() -> list[NotebookNode]:
    """A chapter, what a reader makes of it, and its next edition.

    Joined line by line, the last two are no notebook: a text gets a program's output.
    """
    output = new_output("stream", text="c")
    program, text = new_code_cell("b0", id="b0", outputs=[output]), new_markdown_cell("b1", id="b1")
    program.execution_count = 1
    other = NotebookNode(program | {"source": "b0 t"})
    last = new_code_cell("t2", id="t2")
    return [new_notebook(cells=cells) for cells in ([program, text], [text], [other, last])]
