"""The folder that Visdom's page is served from, with the scripts and styles of others.

    python -m helpers.visdom [FOLDER]

fetches what is missing, about 5 MB, once for each environment. Visdom's own server would fetch
the same files at its first start, into its own package, unchecked, and end if it couldn't. Here
they come as npm packages of pinned bytes, which may lie in FOLDER already, as on a stick; where
there is no npm, Visdom's own download brings them, and they must be those bytes too.
"""

import base64
import hashlib
import importlib.util
import json
import shutil
import subprocess
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from helpers.files import fetched_once

TIMEOUT = 180
"""Seconds that fetching may take in all."""


class AssetsError(RuntimeError):
    """The page's files can't be had; the message says why, what still works, and what to do."""


class Package(NamedTuple):
    """An npm package: SHA-512 of its archive, in base64, and where its files go."""

    name: str
    version: str
    sha512: str
    files: dict[str, str]

    @property
    def stem(self) -> str:
        """The archive's name as npm makes it, without its ending: neither "@" nor "/"."""
        return f"{self.name.removeprefix('@').replace('/', '-')}-{self.version}"


_PINS = json.loads(Path(__file__).with_name("packages.json").read_text(encoding="utf-8"))

PACKAGES = {
    release: tuple(Package(**pin) for pin in _PINS["every"] + _PINS[release])
    for release in ("0.2", "0.3")
}
"""What the page of a Visdom release needs."""

SHA256 = _PINS["sha256"]
"""By release, what ``_digest`` must say of all those files together, whichever way they came."""

ADVICE = (
    "Visdom's API works without its page: VisdomServer(folder, page=False). For the page, "
    "install npm and run 'python -m helpers.visdom' once with a network connection."
)


def page_folder(archives: Path | None = None) -> Path:
    """The folder of the page's files for the installed Visdom; fetched if it isn't there.

    It lies in the environment, as ``fetched_once`` says, and is complete or not there at all.
    ``archives`` is a folder with npm's archives of ``PACKAGES``: then nothing else is asked.

    Raises AssetsError if the files can't be fetched, aren't the pinned bytes, or can't be kept.
    """
    release = installed_release()
    name = f"visdom-{version('visdom')}-{SHA256[release][:8]}"

    def fetch(page: Path, scratch: Path) -> None:
        _copy_own_files(page)
        _fetch(release, page, scratch, archives)

    try:
        return fetched_once(name, fetch)
    except OSError as error:
        raise AssetsError(f"the page's files can't be written ({error}). {ADVICE}") from error


def npm_folder(package: Package) -> Path:
    """The folder of a package's files, in the environment; fetched if it isn't there.

    Raises AssetsError if they can't be fetched or aren't what is pinned, OSError if they can't be
    kept.
    """
    return fetched_once(
        package.stem, lambda files, scratch: fetch_with_npm((package,), files, scratch)
    )


def installed_release() -> str:
    """The key in ``PACKAGES`` of the installed Visdom. Raises AssetsError if there is none."""
    release = ".".join(version("visdom").split(".")[:2])
    if release not in PACKAGES:
        raise AssetsError(f"the page of Visdom {release} isn't known here, only {list(PACKAGES)}")
    return release


def _copy_own_files(page: Path) -> None:
    """Copy what Visdom itself brings, with two addresses in the page mended."""
    own = Path(importlib.util.find_spec("visdom").submodule_search_locations[0]) / "static"
    for name in ("index.html", "login.html", "error.html", "css", "js/main.js"):
        if (own / name).is_dir():
            shutil.copytree(own / name, page / name)
        elif (own / name).exists():
            (page / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(own / name, page / name)
    index = page / "index.html"
    text = index.read_text(encoding="utf-8")
    # Tornado 6.6 refuses a static_url that leads out of the static folder: the page would be 403.
    text = text.replace(
        '{{ static_url("../user/style.css") }}',
        '{{ handler.settings["static_url_prefix"] }}../user/style.css',
    )
    text = text.replace('href="favicon.png"', 'href="data:,"')  # there is no such file
    index.write_text(text, encoding="utf-8")


def _fetch(release: str, page: Path, scratch: Path, archives: Path | None) -> None:
    """Bring the packages' files into ``page``, or raise AssetsError."""
    reasons = []
    ways = {"npm": fetch_with_npm, "Visdom's own download": _fetch_with_visdom}
    if archives is not None:
        ways = {str(archives): lambda packages, page, _: unpack(packages, archives, page)}
    for way, bring in ways.items():
        try:
            bring(PACKAGES[release], page, scratch)
            if _digest(PACKAGES[release], page) != SHA256[release]:
                raise AssetsError("what came isn't what is pinned")
            return
        except (AssetsError, OSError, subprocess.TimeoutExpired) as error:
            reasons.append(f"{way}: {error}")
    raise AssetsError(f"Visdom's page can't be had ({'; '.join(reasons)}). {ADVICE}")


def fetch_with_npm(packages: tuple[Package, ...], page: Path, scratch: Path) -> None:
    """Bring files out of npm's archives, whose bytes are pinned, into the folder ``page``.

    The archives stay in ``scratch``. Raises AssetsError if npm isn't there, fails, or brings other
    bytes, and subprocess.TimeoutExpired after TIMEOUT seconds.
    """
    pack(packages, scratch)
    unpack(packages, scratch, page)


def pack(packages: tuple[Package, ...], archives: Path) -> None:
    """Have npm bring the packages' archives into a folder. Raises as ``fetch_with_npm``."""
    npm = shutil.which("npm")
    if npm is None:
        raise AssetsError("not installed")
    names = [f"{package.name}@{package.version}" for package in packages]
    patience = ("--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-timeout=20000")
    # TIMEOUT bounds it all: without a network npm would try for minutes.
    result = subprocess.run(
        [npm, "pack", "--silent", *patience, *names],
        cwd=archives,
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        timeout=TIMEOUT,
    )
    if result.returncode:
        raise AssetsError(f"npm pack failed, {_last_line(result.stderr or result.stdout)}")


def unpack(packages: tuple[Package, ...], archives: Path, page: Path) -> None:
    """Bring files out of the packages' archives in a folder into the folder ``page``.

    Raises AssetsError if one of them is missing or its bytes aren't the pinned ones.
    """
    for package in packages:
        path = archives / f"{package.stem}.tgz"
        if not path.is_file():
            raise AssetsError(f"{path.name} isn't there")
        if base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode() != package.sha512:
            raise AssetsError(f"{package.name}@{package.version} isn't what is pinned")
        with tarfile.open(path) as archive:
            for source, target in package.files.items():
                (page / target).parent.mkdir(parents=True, exist_ok=True)
                (page / target).write_bytes(archive.extractfile(f"package/{source}").read())


def _fetch_with_visdom(packages: tuple[Package, ...], page: Path, scratch: Path) -> None:
    """Let Visdom download the files, from several sites, some of them not even over https."""
    script = (
        "import sys\n"
        "from visdom.server.build import download_scripts\n"
        "download_scripts(install_dir=sys.argv[1])"
    )
    result = subprocess.run(
        [sys.executable, "-c", script, str(scratch / "visdom")],
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        timeout=TIMEOUT,
    )
    for target in _targets(packages):
        source = scratch / "visdom" / "static" / target
        if not source.is_file():
            raise AssetsError(f"{target} didn't come, {_last_line(result.stderr)}")
        (page / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, page / target)


def _targets(packages: tuple[Package, ...]) -> list[str]:
    return sorted(target for package in packages for target in package.files.values())


def _digest(packages: tuple[Package, ...], page: Path) -> str:
    """SHA-256 over the names and the SHA-256 of the packages' files in ``page``."""
    digest = hashlib.sha256()
    for target in _targets(packages):
        digest.update(
            f"{target} {hashlib.sha256((page / target).read_bytes()).hexdigest()}\n".encode()
        )
    return digest.hexdigest()


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["without a word"])[-1][:200]
