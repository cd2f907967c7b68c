"""A web page as a process of its own, shown inside the notebook."""

import contextlib
import html
import importlib.util
import json
import os
import selectors
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Self

HELPERS = Path(__file__).resolve().parents[1]

RUN = f"""\
import runpy, sys
sys.path.append({str(HELPERS.parent)!r})
runpy.run_path(sys.argv[1], run_name="__main__")
"""
"""Runs a script that finds ``helpers``, and nothing else that lies where the kernel runs."""

START_TIMEOUT = 60.0
"""Seconds that a server may take until it answers."""


class ServerError(RuntimeError):
    """A server didn't start or is gone; the message says why, and what to do."""


class PageServer:
    """A web server in a process of its own, on a free port of 127.0.0.1.

    A subclass says in ``script`` what runs in that process: a file that hands a function to
    ``helpers.pages.process.run``. The process watches its standard input, which is a pipe from
    this one, and ends when that closes: at ``stop()``, when the kernel ends, and when the kernel
    is killed.
    """

    script: Path
    """What runs in the server's own process."""

    height = 800
    """Height of the embedded page, in pixels."""

    def __init__(self, **settings: object) -> None:
        settings["prefix"] = _proxy_prefix()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (closed by stop)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", RUN, self.script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            start_new_session=True,  # an interrupted cell must not interrupt the server
        )
        try:
            # Not on the command line, where every user of the machine could read a password.
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.write(json.dumps(settings).encode() + b"\n")
                self._process.stdin.flush()
            self.port = int(self._first_line())
        except BaseException:
            self.stop()
            raise
        self._path = settings["prefix"].format(port=self.port) or "/"
        self.url = self._path if settings["prefix"] else f"http://127.0.0.1:{self.port}/"

    def _first_line(self) -> bytes:
        """What the process says when it serves. Raises ServerError if it doesn't say it."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            ready = selector.select(START_TIMEOUT)
        line = self._process.stdout.readline() if ready else b""
        if not line:
            reason = self._last_words() if ready else f"it said nothing for {START_TIMEOUT:.0f} s"
            raise ServerError(f"{type(self).__name__} didn't start: {reason}")
        return line

    def _last_words(self) -> str:
        self._process.wait(5)
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"it ended with status {self._process.returncode}"

    @property
    def is_running(self) -> bool:
        """Whether the process is alive."""
        return self._process.poll() is None

    def stop(self) -> None:
        """End the process and wait for it. Does nothing the second time."""
        self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        state = f"at {self.url}" if self.is_running else "stopped"
        return f"{type(self).__name__} {state}"

    def _repr_html_(self) -> str:
        if not self.is_running:
            return f"<p>{html.escape(repr(self))}</p>"
        name = type(self).__name__.removesuffix("Server")
        url = html.escape(self.url)
        return (
            f'<p><a href="{url}" target="_blank">Open {name} in a tab of its own</a></p>'
            f'<iframe src="{url}" title="{name}" width="100%" height="{self.height}"'
            ' style="border: 1px solid #ccc"></iframe>'
        )


def _proxy_prefix() -> str:
    """Where the reader's browser finds a port of this machine, with "{port}" in it.

    Empty if the browser is on this machine too. Otherwise the path under which
    jupyter-server-proxy hands on a port: on a JupyterHub or Binder, or with a Jupyter server
    that has a base URL or listens to other machines.
    """
    if importlib.util.find_spec("jupyter_server_proxy") is None:
        return ""
    base = os.environ.get("JUPYTERHUB_SERVICE_PREFIX")
    if base is None:
        from jupyter_server.serverapp import list_running_servers

        for server in list_running_servers():
            local = server["hostname"] in ("localhost", "127.0.0.1", "::1")
            if server["pid"] == os.getppid() and not (local and server["base_url"] == "/"):
                base = server["base_url"]
    return f"{base.rstrip('/')}/proxy/absolute/{{port}}/" if base is not None else ""
