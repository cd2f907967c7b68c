"""The proxy that JupyterHub runs behind: configurable-http-proxy, from npm.

    python docs/teaching/hub/proxy.py

fetches it once for each environment. ``package-lock.json`` pins it and all that it brings, by
version and SHA-512, and npm takes nothing else.
"""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from helpers.files import fetched_once

HERE = Path(__file__).resolve().parent
PINS = ("package.json", "package-lock.json")


class ProxyError(RuntimeError):
    """The proxy can't be had; the message says why, and what to do."""


def proxy_command(pins: Path = HERE) -> list[str]:
    """The command that starts the proxy, without its options; fetched if it isn't there.

    It lies in the environment, under ``sys.prefix``, and is complete or not there at all.
    ``pins`` is the folder of the files that say what is fetched.

    Raises ProxyError if it can't be fetched or isn't what is pinned.
    """
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        raise ProxyError("JupyterHub's proxy needs node and npm: install npm, and try again")
    digest = hashlib.sha256(b"".join((pins / name).read_bytes() for name in PINS)).hexdigest()

    def fetch(files: Path, _: Path) -> None:
        files.mkdir()
        for name in PINS:
            shutil.copyfile(pins / name, files / name)
        # No script of a package is run.
        options = ["--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"]
        result = subprocess.run(["npm", "ci", *options], cwd=files, capture_output=True, text=True)
        if result.returncode:
            said = (result.stderr or result.stdout).strip()[:500]
            raise ProxyError(f"JupyterHub's proxy can't be had: npm ci failed, {said}")

    folder = fetched_once(f"hub-proxy-{digest[:8]}", fetch)
    script = folder / "node_modules" / "configurable-http-proxy" / "bin" / "configurable-http-proxy"
    return [node, str(script)]


if __name__ == "__main__":
    try:
        proxy_command()
    except ProxyError as error:
        sys.exit(str(error))
