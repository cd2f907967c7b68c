"""Files that are whole or not there: written beside their place, then renamed."""

import os
import tempfile
from collections.abc import Iterator
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


def cannot_write(path: Path | str, error: OSError) -> OSError:
    """An error of the same kind that says which path can't be written, why, and what to do."""
    return type(error)(
        f"{path} can't be written ({error.strerror or error}). Make room there or choose another "
        "folder; what was saved before is still there."
    )
