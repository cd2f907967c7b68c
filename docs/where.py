"""Where the repository lies, if that is known: only then do pages have buttons that lead there."""

import os
import re
import subprocess
from pathlib import Path

REMOTE = re.compile(r"(?:https://(?:[^@/]+@)?|git@|ssh://git@)github\.com[:/]([^/]+/[^/]+?)(?:\.git)?/?$")

BRANCH = "main"
"""The branch that pages lead to."""


def repository(folder: Path) -> str | None:
    """The repository on GitHub, as "owner/name": GITHUB_REPOSITORY, or else the remote origin.

    None if neither says so, or the remote is another forge.
    """
    if named := os.environ.get("GITHUB_REPOSITORY"):
        return named
    asked = subprocess.run(
        ["git", "remote", "get-url", "origin"], cwd=folder, capture_output=True, text=True
    )
    found = REMOTE.match(asked.stdout.strip())
    return found.group(1) if found else None
