"""A web page as a process of its own, shown inside the notebook."""

import contextlib
import html
import json
import queue
import secrets
import subprocess
import sys
import tempfile
import threading
import weakref
from pathlib import Path
from typing import Self

from helpers.pages.guard import knows_users
from helpers.pages.reach import colab_address, find_way
from helpers.pages.variables import stop_when_let_go

HELPERS = Path(__file__).resolve().parents[1]

RUN = f"""\
import runpy, sys
sys.path.append({str(HELPERS.parent)!r})
runpy.run_path(sys.argv[1], run_name="__main__")
"""
"""Runs a script that finds ``helpers``, and nothing else that lies where the kernel runs."""

START_TIMEOUT = 60.0
"""Seconds that a server may take until it answers."""

_started: weakref.WeakSet = weakref.WeakSet()


class ServerError(RuntimeError):
    """A server didn't start or is gone; the message says why, and what to do."""


class PageServer:
    """A web server in a process of its own, on a port of 127.0.0.1; ``port=0`` is a free one.

    A subclass says in ``script`` what runs in that process: a file that hands a function to
    ``helpers.pages.process.run``. The process watches its standard input, which is a pipe from
    this one, and ends when that closes: at ``stop()``, when the kernel ends, and when the kernel
    is killed. In a notebook it is stopped, too, when no variable holds it any more, and when
    its port is asked for again.

    It answers this user only. Where the system doesn't say who asks (anywhere but on Linux), or
    on a hub, whose students may all be one user of its machine, a secret in ``url``, as
    long-lived as the server, does that.
    """

    script: Path
    """What runs in the server's own process."""

    height = 800
    """Height of the embedded page, in pixels."""

    def __init__(self, port: int, **settings: object) -> None:
        for other in list(_started):
            if port and type(other) is type(self) and other.port == port:
                other.stop()
        way, by_user = find_way(), knows_users()
        secret = way.hub or not by_user
        base = way.prefix + (f"/token-{secrets.token_urlsafe()}" if secret else "")
        settings["port"] = port
        settings["guard"] = {
            "base": base,
            "by_user": by_user,
            "proxied": bool(way.prefix),
            "elsewhere": way.colab,
        }
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (closed by stop)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", RUN, self.script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            # An interrupted cell must not interrupt the server: on Windows, and elsewhere.
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
            start_new_session=True,
        )
        try:
            # Not on the command line, where every user of the machine could read a secret.
            with contextlib.suppress(OSError):
                self._process.stdin.write(json.dumps(settings).encode() + b"\n")
                self._process.stdin.flush()
            self.port = int(self._first_line())
            self._path = base.format(port=self.port) + "/"
            if way.colab:
                root = colab_address(self.port)
            else:
                root = "" if way.prefix else f"http://127.0.0.1:{self.port}"
        except BaseException:
            self.stop()
            raise
        self.url = root + self._path
        self._hint = way.hint.format(port=self.port)
        # The address without its secret, for what is printed.
        self._place = root + way.prefix.format(port=self.port) + "/"
        _started.add(self)
        stop_when_let_go(self, type(self).stop)

    def _first_line(self) -> bytes:
        """What the process says when it serves. Raises ServerError if it doesn't say it."""
        lines = queue.SimpleQueue()
        read = self._process.stdout.readline
        threading.Thread(target=lambda: lines.put(read()), daemon=True).start()
        try:
            line = lines.get(timeout=START_TIMEOUT)
            reason = line or self._last_words()
        except queue.Empty:
            line, reason = b"", f"it said nothing for {START_TIMEOUT:.0f} s"
        if not line:
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
        with contextlib.suppress(OSError):  # what was never read can't be written on
            self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._log.close()

    def __del__(self) -> None:
        if hasattr(self, "_process"):
            self.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        state = f"at {self._place}" if self.is_running else "stopped"
        return f"{type(self).__name__} {state}"

    def _repr_html_(self) -> str:
        if not self.is_running:
            return f"<p>{html.escape(repr(self))}</p>"
        name = type(self).__name__.removesuffix("Server")
        url = html.escape(self.url)
        hint = f"<p>{html.escape(self._hint)}</p>" if self._hint else ""
        return (
            f'<p><a href="{url}" target="_blank">Open {name} in a tab of its own</a></p>{hint}'
            f'<iframe src="{url}" title="{name}" width="100%" height="{self.height}"'
            ' style="border: 1px solid #ccc"></iframe>'
        )
