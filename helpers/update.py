"""The newest edition of the course, and what a reader has changed.

    python -m helpers.update

fetches what was published since this copy was made or updated, and joins it with what is here.
nbgitpuller does it, here as on a hub. What the reader changed, added or ran stays:

- A file that only one side changed is as that side has it.
- A chapter that both changed has the changes of both; where they changed the same lines, the
  reader's stay.
- A chapter that can't be joined so that it opens stays as the reader has it; the new one is put
  beside it, with its edition in its name.
- A file of the reader's whose name a new one takes gets the time in its name.
- A file that the reader deleted, or renamed, is there again, as published.

The reader's state from before is kept as a commit: ``git show HEAD^1:notebooks/...``.

    python -m helpers.update mend

is what a hub asks after nbgitpuller has joined the two there: only what can't be opened is parted.
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
    mended = mend(course)
    changed = _git(course, "diff", "--name-only", f"origin/{branch}").splitlines()
    return [
        *(line for line in said if line.startswith("Renamed")),
        f"This is the newest edition {'already' if edition == before else 'now'}, {edition}",
        *(f"With changes of yours: {name}" for name in changed),
        *mended,
    ]


def mend(course: Path) -> list[str]:
    """After a merge, part again what it joined to notebooks that can't be opened.

    The reader's own comes back whole, and the published one is put beside it. What to tell, line by
    line. What was changed since stays as it is.
    """
    if not _git(course, "rev-parse", "--quiet", "--verify", "HEAD^2", expected=(0, 1)):
        return []  # nothing was joined
    edition = _git(course, "rev-parse", "--short", "HEAD^2")
    # Those that are neither the reader's nor the published one.
    joined = _git(course, "diff-tree", "-c", "-r", "--no-commit-id", "--name-only", "HEAD")
    lines = []
    for name in filter(lambda name: name.endswith(".ipynb"), joined.splitlines()):
        path = course / name
        known = _git(course, "ls-tree", "--name-only", "HEAD^1", name)
        if _opens(path) or not known or _git(course, "diff", "--name-only", "HEAD", "--", name):
            continue
        beside = path.with_name(f"{path.stem}_new_{edition}.ipynb")
        _git(course, "checkout", "HEAD^2", "--", name)
        path.replace(beside)
        _git(course, "checkout", "HEAD^1", "--", name)
        lines.append(f"{name} can't be joined with the new one, which is beside it: {beside.name}")
    return lines


def _opens(path: Path) -> bool:
    """Whether a file is a notebook that JupyterLab opens."""
    import nbformat

    try:
        nbformat.validate(nbformat.read(path, as_version=4))
    except (OSError, ValueError, nbformat.ValidationError):
        return False
    return True


def _git(course: Path, *arguments: str, expected: tuple[int, ...] = (0,)) -> str:
    result = subprocess.run(
        ["git", *arguments], cwd=course, capture_output=True, text=True, encoding="utf-8"
    )
    if result.returncode not in expected:
        raise UpdateError(f"git {arguments[0]} failed: {result.stderr.strip()}")
    return result.stdout.strip() if result.returncode == 0 else ""


if __name__ == "__main__":
    try:
        print("\n".join(mend(Path.cwd()) if sys.argv[1:] == ["mend"] else update()))
    except UpdateError as error:
        sys.exit(str(error))
