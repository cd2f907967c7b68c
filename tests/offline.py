"""A class without a network, for real: from a bundle to all chapters.

    python tests/offline.py FOLDER        # or: make test-offline BUNDLE=FOLDER

takes the course from the bundle in FOLDER into a new folder, and there, with an empty home and no
cache, in a network namespace that has nothing but loopback: sets it up, asks JupyterLab for its
page, and runs every chapter as it stands, and the README's own line, through papermill. Prints how
long each took. Needs Linux, 10 GB of disk if torch brings CUDA libraries, and a quarter of an hour.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

INSIDE = "inside"
PATIENCE = 120


def main(bundle: Path) -> int:
    """Go into the namespace with a clone; returns the exit code."""
    with tempfile.TemporaryDirectory(prefix="offline-") as scratch:
        folder = Path(scratch)
        subprocess.run(
            ["git", "clone", "--quiet", bundle / "course.git", folder / "course"], check=True
        )
        (folder / "home").mkdir()
        here = {"HOME": str(folder / "home"), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
        here["TMPDIR"] = scratch
        command = ["unshare", "--net", "--user", "--map-root-user", sys.executable]
        command += [__file__, INSIDE, bundle]
        return subprocess.run(command, cwd=folder / "course", env=here).returncode


@contextlib.contextmanager
def timed(what: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    print(f"{what}: {time.monotonic() - started:.0f} s", flush=True)


def inside(bundle: Path) -> None:
    """All of it, in the namespace, in the clone."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    links = subprocess.run(["ip", "-brief", "link"], capture_output=True, text=True).stdout
    assert [line.split()[0] for line in links.splitlines()] == ["lo"], links
    with contextlib.suppress(OSError), socket.create_connection(("192.0.2.1", 443), 5):
        raise AssertionError("there is a network")

    make = ["make", "--silent", f"PYTHON={sys.executable}", f"BUNDLE={bundle}"]
    with timed("set-up"):
        subprocess.run([*make, ".venv/.lab"], check=True)
    size = subprocess.run(["du", "-sm", ".venv"], capture_output=True, text=True).stdout
    print(f".venv: {size.split()[0]} MB")
    with timed("JupyterLab answers"):
        look_at_jupyterlab([*make, "lab", "LAB_ARGS=--no-browser"], Path.cwd(), dict(os.environ))
    for chapter in sorted(Path("notebooks").glob("*.ipynb")):
        with timed(chapter.stem):
            papermill(chapter, "-p", "output_dir", f"../{chapter.stem}")
    left = [path for path in Path("..", "home").rglob("*") if "pip" in path.parts]
    assert not left, left


def papermill(chapter: Path, *options: str) -> None:
    out = Path("..", chapter.name)
    command = [".venv/bin/papermill", "--no-progress-bar", "--cwd", "notebooks", chapter, out]
    result = subprocess.run([*command, *options], capture_output=True, text=True)
    if result.returncode:
        sys.exit(f"{chapter} stopped:\n{result.stderr[-3000:]}")


def page(address: str, deadline: float) -> str:
    """What a server answers; it names its address a moment before it listens there."""
    while True:
        try:
            with urllib.request.urlopen(address, timeout=PATIENCE) as reply:
                return reply.read().decode()
        except urllib.error.URLError as error:
            refused = isinstance(error.reason, ConnectionRefusedError)
            if not refused or time.monotonic() > deadline:
                raise
        time.sleep(0.2)


def look_at_jupyterlab(command: list | str, folder: Path, variables: dict[str, str]) -> None:
    """Start it as the reader does, ask for its page and for the chapters, and end it.

    ``folder`` is the course's; ``variables`` has a HOME in which no other server was started.
    """
    runtime = Path(variables["HOME"], ".local", "share", "jupyter", "runtime")
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command, cwd=folder, env=variables, stdout=log, stderr=log, shell=type(command) is str
        )
        try:
            deadline = time.monotonic() + PATIENCE
            while not (found := list(runtime.glob("jpserver-*.json"))):
                if process.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    sys.exit(f"JupyterLab didn't start:\n{log.read().decode()[-3000:]}")
                time.sleep(0.2)
            server = json.loads(found[0].read_text())
            below = folder.joinpath("notebooks").relative_to(server["root_dir"])
            for path in ("lab", f"api/contents/{below.as_posix().strip('.')}"):
                address = f"{server['url']}{path}?token={server['token']}"
                body = page(address, deadline)
            names = {file["name"] for file in json.loads(body)["content"]}
            assert {path.name for path in folder.glob("notebooks/*.ipynb")} <= names
        finally:
            if found := list(runtime.glob("jpserver-*.json")):
                os.kill(json.loads(found[0].read_text())["pid"], 15)
            process.wait(PATIENCE)


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == INSIDE:
        inside(Path(sys.argv[2]))
    elif len(sys.argv) == 2:
        sys.exit(main(Path(sys.argv[1]).resolve()))
    else:
        sys.exit(__doc__)
