"""Where the repository lies, if that is known: only then do pages have buttons that lead there."""

import os
import re
import subprocess
from pathlib import Path

REMOTE = re.compile(
    r"(?:https://(?:[^@/]+@)?|git@|ssh://git@)github\.com[:/]([^/]+/[^/]+?)(?:\.git)?/?$"
)

BRANCH = "main"
"""The branch that pages lead to."""


def repository(folder: Path) -> str | None:
    """The repository on GitHub, as "owner/name": GITHUB_REPOSITORY, or else the remote origin.

    None if neither says so, the remote is another forge, or GITHUB_REPOSITORY is there and empty.
    """
    if "GITHUB_REPOSITORY" in os.environ:
        return os.environ["GITHUB_REPOSITORY"] or None
    asked = subprocess.run(
        ["git", "remote", "get-url", "origin"], cwd=folder, capture_output=True, encoding="utf-8"
    )
    found = REMOTE.match(asked.stdout.strip())
    return found.group(1) if found else None
