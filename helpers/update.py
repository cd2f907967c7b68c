"""The newest edition of the course, and what a reader has changed.

    python -m helpers.update

fetches what was published since this copy was made or updated, and joins it with what is here.
nbgitpuller does it, here as on a hub. What the reader changed, added or ran stays:

- A file that only one side changed is as that side has it.
- A chapter that both changed has the changes of both; where they changed the same lines, the
  reader's stay.
- A file of the reader's whose name a new one takes gets the time in its name.
- A file that the reader deleted, or renamed, is there again, as published.

The reader's state from before is kept as a commit: ``git show HEAD^1:notebooks/...``.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

COURSE = Path(__file__).resolve().parent.parent


class UpdateError(RuntimeError):
    """There is nothing to update from, or it can't be reached; the message says what to do."""


def update(course: Path = COURSE) -> list[str]:
    """Bring a clone of the course to the newest edition; what to tell its reader, line by line.

    Raises UpdateError, and then every file is as it was.
    """
    from nbgitpuller.errors import GitPullerError
    from nbgitpuller.pull import GitPuller

    if shutil.which("git") is None:
        raise UpdateError("git isn't installed. Install it, and try again.")
    if not (course / ".git").exists():
        raise UpdateError(
            f"{course} wasn't made by git clone, so nothing is known of where it came from. Get "
            "the new edition into a folder of its own, and copy your notebooks into it."
        )
    origin = _git(course, "config", "remote.origin.url", expected=(0, 1))
    branch = _git(course, "branch", "--show-current")
    if not origin or not branch:
        raise UpdateError(
            "This copy follows no published one. Name it: git remote add origin ADDRESS; and stand "
            "on a branch of it: git switch main."
        )
    newest = ["log", "-1", "--format=%h (%cs): %s", f"origin/{branch}"]
    before, there = _git(course, *newest, expected=(0, 128)), os.getcwd()
    os.chdir(course)  # an address may be a path from here
    said = []
    try:
        said = [line.strip() for line in GitPuller(origin, str(course), branch=branch).pull()]
    except (subprocess.CalledProcessError, GitPullerError) as error:
        reason = (getattr(error, "stderr", None) or str(error)).strip().splitlines()[0]
        raise UpdateError(
            f"{origin} has no newer edition to give ({reason}). Is there a network, and is the "
            f"branch {branch} published? Your files are as they were."
        ) from None
    finally:
        os.chdir(there)
    edition = _git(course, *newest)
    return [
        *(line for line in said if line.startswith("Renamed")),
        f"This is the newest edition {'already' if edition == before else 'now'}, {edition}",
        *_what_is_yours(course, branch),
    ]


def _what_is_yours(course: Path, branch: str) -> list[str]:
    """Which chapters hold changes of the reader's; and whether each can still be opened."""
    import nbformat

    lines = []
    for name in _git(course, "diff", "--name-only", f"origin/{branch}").splitlines():
        lines.append(f"With changes of yours: {name}")
        if name.endswith(".ipynb"):
            try:
                nbformat.validate(nbformat.read(course / name, as_version=4))
            except (ValueError, nbformat.ValidationError):
                lines.append(
                    "  It was changed on both sides so that it can't be opened any more. Your own "
                    f"from before comes back with: git checkout HEAD^1 -- {name}"
                )
    return lines


def _git(course: Path, *arguments: str, expected: tuple[int, ...] = (0,)) -> str:
    result = subprocess.run(
        ["git", *arguments], cwd=course, capture_output=True, text=True, encoding="utf-8"
    )
    if result.returncode not in expected:
        raise UpdateError(f"git {arguments[0]} failed: {result.stderr.strip()}")
    return result.stdout.strip() if result.returncode == 0 else ""


if __name__ == "__main__":
    try:
        print("\n".join(update()))
    except UpdateError as error:
        sys.exit(str(error))
