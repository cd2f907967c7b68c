"""Files and folders that are whole or not there: made beside their place, then renamed."""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """A path to write to, which becomes ``path`` when the block ends without an error.

    Until then a file that was at ``path`` stays as it is. The path to write to is in a new
    folder beside it and has the same name, so that what looks at the ending finds it.

    Raises OSError, which names the folder and says what to do, if it can't be written or is full.
    """
    path = Path(path)
    try:
        with tempfile.TemporaryDirectory(prefix=".saving-", dir=path.parent) as folder:
            yield Path(folder, path.name)
            os.replace(Path(folder, path.name), path)
    except OSError as error:
        raise cannot_write(path, error) from None


def fetched_once(name: str, fetch: Callable[[Path, Path], None]) -> Path:
    """The environment's folder ``name``, under ``sys.prefix``; fetched if it isn't there.

    ``fetch(files, scratch)`` makes the folder ``files`` with all that belongs there; in
    ``scratch``, which is removed, it may keep what it needs meanwhile. Two processes may want the
    folder at once: the quicker one makes it.

    Raises what ``fetch`` raises, and OSError if the folder can't be written.
    """
    folder = Path(sys.prefix) / "share" / "seeing-pytorch" / name
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetching-", dir=folder.parent) as scratch:
        files = Path(scratch) / "files"
        fetch(files, Path(scratch))
        try:
            files.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
    return folder


def cannot_write(path: Path | str, error: OSError) -> OSError:
    """An error of the same kind that says which path can't be written, why, and what to do."""
    return type(error)(
        f"{path} can't be written ({error.strerror or error}). Make room there or choose another "
        "folder; what was saved before is still there."
    )
