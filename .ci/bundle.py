"""The course on a stick, for a class without a network.

    python .ci/bundle.py write FOLDER [cpu|cuda]     # with a network, in the course's environment
    python .ci/bundle.py install FOLDER [VENV]       # without one, with any Python 3.11 to 3.13

write puts into FOLDER all that the set-up of the course asks for: the wheels for this system and
this Python, those that are built from source among them, the archives of Visdom's page, the
datasets that are in data/, the course itself, and the SHA-256 of every file. install looks at all
of it before it makes anything, and makes the environment from it and from nothing else.
"""

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "data"
DATASETS = ("MNIST", "FashionMNIST")
SUMS, ABOUT, README = "SHA256SUMS", "bundle.json", "README.txt"

WORDS = """\
Seeing PyTorch, for {system} on {machine} with Python {python}: no network is needed.
1. Copy the course to your disk:
   git clone "{folder}/course.git" seeing-pytorch
2. Linux and macOS, in the folder seeing-pytorch:
   make lab BUNDLE="{folder}"
3. Windows, there:
   python .ci\\bundle.py install "{folder}"
   .venv\\Scripts\\jupyter lab notebooks
If this folder is somewhere else now than at {folder}, write where.
From your system come Python {python} with venv, git, make, and Graphviz's dot for the diagrams.
"""
"""README.txt, ten lines."""


class BundleError(Exception):
    """A bundle can't be written or used; the message says why, and what to do."""


# ---- what both know of a bundle ----


def here() -> dict[str, str]:
    """What the wheels have to fit: system, processor and Python."""
    return {
        "system": platform.system(),
        "machine": platform.machine(),
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
    }


def dependencies() -> list[str]:
    """What the course needs, as pip's requirements."""
    import tomllib  # not in a Python that is too old, which is told from ours first

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project["dependencies"]


def asked_for() -> str:
    """A digest of what the set-up asks for. Another edition of the course may ask for other."""
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    text = json.dumps([dependencies(), pins.split("\n")])
    return hashlib.sha256(text.encode()).hexdigest()


def digest(path: Path) -> str:
    """The SHA-256 of a file, as in SHA256SUMS."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def files(folder: Path) -> list[str]:
    """A bundle's files but for the list of sums itself, as paths with slashes."""
    kept = [folder / ABOUT, folder / README]
    for part in ("wheels", "npm", "datasets", "course.git"):
        kept += (folder / part).rglob("*") if (folder / part).is_dir() else [folder / part]
    return sorted(path.relative_to(folder).as_posix() for path in kept if path.is_file())


# ---- writing, in the course's environment ----


def write(folder: Path, kind: str) -> None:
    """Write a bundle. Raises BundleError, or CalledProcessError if pip fails."""
    if kind not in ("", "cpu", "cuda"):
        raise BundleError(f"TORCH is cpu or cuda, not {kind!r}.")
    if folder.exists() and not folder.is_dir():
        raise BundleError(f"{folder} is a file. Name a folder.")
    ours = (SUMS, ABOUT, README, "wheels", "npm", "datasets", "course.git")
    if not (folder / ABOUT).exists():
        for name in ours:
            if (folder / name).exists():
                raise BundleError(
                    f"{folder / name} is there, and isn't from a bundle. Name a new folder."
                )
    for name in ours:  # SUMS first: a bundle without them isn't complete
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ABOUT).touch()  # ours, from here on
    sys.path.insert(0, str(ROOT))  # for helpers
    write_archives(folder / "npm")
    write_wheels(folder / "wheels", kind)
    write_datasets(folder / "datasets")
    write_course(folder / "course.git")
    about = here() | {"asks for": asked_for(), "glibc": glibc(folder / "wheels")}
    (folder / ABOUT).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    text = WORDS.format(folder=folder.absolute().as_posix(), **here())
    (folder / README).write_text(text, encoding="utf-8")
    lines = [f"{digest(folder / name)}  {name}\n" for name in files(folder)]
    (folder / SUMS).write_text("".join(lines), encoding="utf-8", newline="\n")
    size = sum((folder / name).stat().st_size for name in files(folder))
    print(f"{folder}: {len(lines)} files, {size / 1e6:,.0f} MB")


def write_wheels(wheels: Path, kind: str) -> None:
    """All that ``install`` installs, as wheels."""
    from torch_build import from_index

    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--wheel-dir", wheels]
    pip += ["--constraint", ROOT / "constraints.txt"]
    subprocess.run([*pip, "setuptools", "wheel"], check=True)
    torch, options = from_index(kind or "cpu")  # most of a class has no card
    if torch:
        subprocess.run([*pip, *options, *torch], check=True)
    # Without isolation, for visdom 0.2.4: see the Makefile.
    build = ["--no-build-isolation", "--find-links", wheels]
    subprocess.run([*pip, *build, *torch, *dependencies()], check=True)


def glibc(wheels: Path) -> list[int]:
    """The oldest C library that all wheels run on, as [2, 28]; [0, 0] if none names one."""
    needed = [[0, 0]]
    for wheel in wheels.glob("*manylinux_*.whl"):
        named = re.findall(r"manylinux_(\d+)_(\d+)", wheel.name)
        needed.append(min([int(one), int(other)] for one, other in named))
    return max(needed)


def write_archives(npm: Path) -> None:
    """The archives of Visdom's page."""
    from helpers.visdom.page import PACKAGES, AssetsError, installed_release, pack

    npm.mkdir()
    try:
        pack(PACKAGES[installed_release()], npm)
    except AssetsError as error:
        raise BundleError(f"npm is needed for the page of chapter 4: {error}") from None


def write_datasets(datasets: Path) -> None:
    """The large datasets, where they have been downloaded or Debian has brought them."""
    from helpers.data import DEBIAN_FASHION_DIR, is_complete

    for name in DATASETS:
        places = [DATA / name / "raw"] + [DEBIAN_FASHION_DIR] * (name == "FashionMNIST")
        for place in filter(is_complete, places):
            shutil.copytree(place, datasets / name / "raw")
            break


def write_course(course: Path) -> None:
    """The course's history in one file, from which git clones. Not what isn't committed yet."""
    git = ["git", "-C", ROOT]
    branch = subprocess.run(
        [*git, "branch", "--show-current"], capture_output=True, encoding="utf-8"
    )
    if branch.returncode:
        return  # downloaded without git: then it is copied in the same way
    subprocess.run(
        [*git, "bundle", "create", "--quiet", course, "HEAD", *branch.stdout.split()], check=True
    )


# ---- installing, with nothing but Python ----


def install(folder: Path, environment: Path) -> None:
    """Make an environment from a bundle. Raises BundleError, or CalledProcessError if pip fails."""
    check(folder)
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    windows = sys.platform == "win32"
    python = environment / ("Scripts/python.exe" if windows else "bin/python")
    pip = [python, "-m", "pip", "install", "--quiet", "--no-index"]
    pip += ["--find-links", folder / "wheels", "--constraint", ROOT / "constraints.txt"]
    # What pip is told elsewhere may lead to a network.
    variables = {k: v for k, v in os.environ.items() if not k.startswith("PIP_")}
    variables["PIP_CONFIG_FILE"] = os.devnull
    for packages in (["setuptools", "wheel"], ["--no-build-isolation", "--editable", ROOT]):
        subprocess.run([*pip, *packages], env=variables, check=True)
    subprocess.run([python, "-m", "helpers.visdom", folder / "npm"], cwd=ROOT, check=True)
    for name in DATASETS:
        if (folder / "datasets" / name).is_dir() and not (DATA / name).exists():
            shutil.copytree(folder / "datasets" / name, DATA / name)


def check(folder: Path) -> None:
    """Raise BundleError, in a sentence, if a bundle isn't whole or isn't for this machine."""
    if not (folder / ABOUT).is_file():
        raise BundleError(f"There is no bundle in {folder}: name the folder of {ABOUT}.")
    sums = folder / SUMS
    lines = sums.read_text(encoding="utf-8").splitlines() if sums.is_file() else []
    if not lines:
        raise BundleError(f"{folder} has no {SUMS}: it was never finished. Write or copy it anew.")
    about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    differs = [key for key, value in here().items() if about[key] != value]
    if differs:
        theirs, ours = ("{system} on {machine} with Python {python}",) * 2
        raise BundleError(
            f"This bundle is for {theirs.format(**about)}, and here is {ours.format(**here())}: "
            + remedy(differs, about)
        )
    library, version = platform.libc_ver()
    if about["glibc"] > [0, 0]:
        wanted = ".".join(map(str, about["glibc"]))
        if library != "glibc" or list(map(int, version.split(".")[:2])) < about["glibc"]:
            raise BundleError(
                f"This bundle needs a Linux with glibc {wanted}, and here is "
                f"{library or 'another library'} {version}: take a newer system, or a bundle that "
                "was made on a machine like this."
            )
    if about["asks for"] != asked_for():
        raise BundleError(
            "This bundle is of another edition of the course: take the course from it too, "
            f'git clone "{folder}/course.git"'
        )
    for line in lines:
        wanted, name = line.split("  ", 1)
        path = folder / name
        if not path.is_file() or digest(path) != wanted:
            what = "is damaged" if path.exists() else "is missing"
            raise BundleError(f"{path} {what}. Copy the bundle anew.")


def remedy(differs: list[str], about: dict[str, str]) -> str:
    if differs == ["python"]:
        return f"install Python {about['python']}, and name it: PYTHON=python{about['python']}"
    return "take one that was made on a machine like this"


if __name__ == "__main__":
    verb, place, other = [*sys.argv[1:], "", "", ""][:3]
    if verb not in ("write", "install") or not place:
        sys.exit(__doc__)
    try:
        if verb == "write":
            write(Path(place), other)
        else:
            install(Path(place).absolute(), Path(other or ROOT / ".venv"))
    except BundleError as error:
        sys.exit(str(error))
    except subprocess.CalledProcessError as error:
        command = " ".join(map(str, error.cmd[:5]))
        sys.exit(f"{command} ... ended with {error.returncode}; what it said is above.")
