"""Take the build of torch that this machine has a use for, before the rest is installed.

    python .ci/torch_build.py [cpu|cuda]

On Linux, PyPI's torch brings CUDA libraries: 3 GB to download, 5 GB on disk, and of no use without
an NVIDIA card. PyTorch's own index has the same releases without them, a tenth of the size. Where
there is no card, or where "cpu" is asked for, torch and torchvision are installed from there, at
the versions of constraints.txt; "cuda", a system other than Linux, and an index that doesn't
answer or has no such release leave them to PyPI. What is installed already stays.

TORCH_INDEX in the environment names another index, as a class's own copy of it.
"""

import http.client
import os
import queue
import re
import shutil
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from importlib import metadata
from pathlib import Path

from packaging.tags import sys_tags
from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import Version

CONSTRAINTS = Path(__file__).resolve().parent.parent / "constraints.txt"
INDEX = "https://download.pytorch.org/whl/cpu"
NAMES = ("torch", "torchvision")
PATIENCE = 4.0
"""Seconds that the index may take to answer."""


class NotThere(Exception):
    """The index doesn't answer, or has no such release; says which, in a sentence."""


def has_card() -> bool:
    """Whether an NVIDIA card is here that its driver knows."""
    wsl = "/usr/lib/wsl/lib"  # where Windows puts its drivers' tools into its Linux
    path = os.pathsep.join([os.environ.get("PATH", ""), wsl])
    program = shutil.which("nvidia-smi", path=path)
    if program is None:
        return False
    try:
        listed = subprocess.run([program, "-L"], capture_output=True, encoding="utf-8", timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return listed.returncode == 0 and "GPU " in listed.stdout


def pins() -> dict[str, Version]:
    """The versions of NAMES in constraints.txt."""
    found = re.findall(r"^([\w-]+)==([^\s;]+)", CONSTRAINTS.read_text(encoding="utf-8"), re.M)
    return {name: Version(version) for name, version in found if name in NAMES}


def installed() -> Version | None:
    """The version of torch that is here: 2.14.1+cpu, or without an ending if PyPI's."""
    try:
        return Version(metadata.version("torch"))
    except metadata.PackageNotFoundError:
        return None


def cpu_requirements(index: str) -> list[str]:
    """What pip is to install from the index, ["torch==2.14.1+cpu", ...]. Raises NotThere."""
    pages = _pages(index)
    tags = set(sys_tags())
    wanted = []
    for name, pin in pins().items():
        found = {
            version
            for link in re.findall(r'href="([^"#]+)', pages[name])
            for version, fits in [_wheel(link, tags)]
            if fits and Version(version.public) == pin
        }
        if not found:
            raise NotThere(f"has no {name} {pin} for this Python and system")
        wanted.append(f"{name}=={max(found)}")
    return wanted


def _wheel(link: str, tags: set) -> tuple[Version, bool]:
    """The version of the wheel that a link leads to, and whether it fits this Python and system."""
    try:
        file = urllib.parse.unquote(link.rpartition("/")[2])
        _, version, _, its = parse_wheel_filename(file)
        return version, bool(its & tags)
    except InvalidWheelFilename:
        return Version("0"), False


def _pages(index: str) -> dict[str, str]:
    """The index's pages on NAMES. Raises NotThere after PATIENCE seconds in all."""
    answers: queue.SimpleQueue[tuple[str, str | Exception]] = queue.SimpleQueue()

    def ask(name: str) -> None:
        try:
            with urllib.request.urlopen(f"{index}/{name}/", timeout=PATIENCE) as reply:
                answers.put((name, reply.read().decode("utf-8")))
        except (OSError, ValueError, http.client.HTTPException) as error:
            answers.put((name, error))

    for name in NAMES:
        # A daemon, since a look-up of a name can't be given a time limit.
        threading.Thread(target=ask, args=(name,), daemon=True).start()
    deadline = time.monotonic() + PATIENCE
    pages = {}
    for _ in NAMES:
        try:
            name, page = answers.get(timeout=max(deadline - time.monotonic(), 0))
        except queue.Empty:
            raise NotThere(f"doesn't answer within {PATIENCE:g} s") from None
        if isinstance(page, Exception):
            raise NotThere(f"can't be reached ({page})")
        pages[name] = page
    return pages


def from_index(kind: str) -> tuple[list[str], list[str]]:
    """What is to be taken from PyTorch's index: pip's requirements, and its options.

    Two empty lists if torch is to come from PyPI. Says so, where that isn't what was wanted.
    """
    if sys.platform != "linux" or (kind or ("cuda" if has_card() else "cpu")) == "cuda":
        return [], []
    index = os.environ.get("TORCH_INDEX", INDEX).rstrip("/")
    try:
        return cpu_requirements(index), ["--no-deps", "--index-url", index]
    except NotThere as reason:
        print(
            f"PyTorch's own index {reason}: taking PyPI's build of torch, up to 3 GB to download."
        )
        return [], []


def main(kind: str) -> int:
    if kind not in ("", "cpu", "cuda"):
        print(f"TORCH is cpu or cuda, not {kind!r}", file=sys.stderr)
        return 2
    there = installed()
    if there is not None:
        if sys.platform == "linux" and kind and (kind == "cpu") != (there.local == "cpu"):
            other = "cpu" if there.local == "cpu" else "cuda"
            print(f"The {other} build of torch is here. For the other: make clean, then this again")
        if Version(there.public) == pins()["torch"]:
            return 0
        kind = kind or ("cpu" if there.local == "cpu" else "cuda")
    requirements, options = from_index(kind)
    if not requirements:
        return 0
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--constraint", CONSTRAINTS]
    if subprocess.run([*pip, *options, *requirements]).returncode:
        print(
            f"{' and '.join(requirements)} didn't come, see above. Try again; without pip's cache: "
            "PIP_NO_CACHE_DIR=1 make lab; or take PyPI's build, 3 GB: make lab TORCH=cuda",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*(sys.argv[1:] or [""])))
