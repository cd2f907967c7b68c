"""A disk that fills up, for real, for one program at a time."""

import resource
import shutil
import subprocess
from pathlib import Path

MOUNT = """
mount -t tmpfs -o size="$SIZE" none "$FOLDER" && "$@"
CODE=$?
cp -r "$FOLDER" "$KEPT"
exit $CODE
"""


def run_on_small_disk(
    command: list[str], folder: Path, size: int, **options: object
) -> tuple[subprocess.CompletedProcess, Path]:
    """Run a command while ``folder`` has room for ``size`` bytes; what is left lies in a copy.

    ``folder`` is a file system of its own in the command's view of the machine. Where users may
    make no such view (macOS, some Linux), no file can become larger than ``size`` instead: the
    kernel refuses to write on, too.
    """
    folder.mkdir(parents=True)
    kept = folder.with_name(f"{folder.name}-kept")
    settings = {"SIZE": str(size), "FOLDER": str(folder), "KEPT": str(kept)}
    options = {"capture_output": True, "text": True, "timeout": 300} | options
    view = ["unshare", "--map-root-user", "--mount"]
    if (
        shutil.which("unshare")
        and not subprocess.run([*view, "true"], capture_output=True).returncode
    ):
        options["env"] = options["env"] | settings
        return subprocess.run([*view, "sh", "-c", MOUNT, "sh", *command], **options), kept
    limit = (size, size)
    done = subprocess.run(
        command, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit), **options
    )
    shutil.copytree(folder, kept)
    return done, kept
