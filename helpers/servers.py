"""TensorBoard and Visdom, each as a page of its own process, shown inside the notebook."""

import html
import importlib.util
import json
import os
import selectors
import subprocess
import sys
import tempfile
import urllib.parse
from pathlib import Path
from typing import Self

START_TIMEOUT = 60.0
"""Seconds that a server may take until it answers."""


class ServerError(RuntimeError):
    """A server didn't start or is gone; the message says why, and what to do."""


class _PageServer:
    """A web server in a process of its own, on a free port of 127.0.0.1.

    The process watches its standard input, which is a pipe from this one, and ends when that
    closes: at ``stop()``, when the kernel ends, and when the kernel is killed.
    """

    height = 800
    """Height of the embedded page, in pixels."""

    def __init__(self, environment: dict[str, str] | None = None, **settings: str) -> None:
        settings["prefix"] = _proxy_prefix()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (closed by stop)
        self._process = subprocess.Popen(
            [sys.executable, "-P", __file__, type(self).__name__, json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=os.environ | (environment or {}),
            start_new_session=True,  # an interrupted cell must not interrupt the server
        )
        try:
            self.port = int(self._first_line())
        except BaseException:
            self.stop()
            raise
        prefix = settings["prefix"].format(port=self.port)
        self.url = prefix if prefix else f"http://127.0.0.1:{self.port}/"

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


class TensorBoardServer(_PageServer):
    """TensorBoard over the event files below a folder.

    It looks for new entries every 5 seconds. ``url`` is its address and ``port`` its port;
    ``stop()``, or leaving a ``with`` block, ends it. As a cell's last line it shows the page.

    Raises FileNotFoundError if there is no such folder, ServerError if TensorBoard doesn't
    start.
    """

    def __init__(self, logdir: Path | str) -> None:
        if not Path(logdir).is_dir():
            raise FileNotFoundError(f"no folder {logdir}: train first, or name the run's folder")
        super().__init__(logdir=str(Path(logdir).resolve()))


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


# ---- from here on: what runs in the server's own process ----


def _serve_tensorboard(logdir: str, prefix: str) -> int:
    """Start TensorBoard in a thread; return its port."""
    from tensorboard import program

    board = program.TensorBoard()
    options = ["--logdir", logdir, "--host", "127.0.0.1", "--reload_interval", "5"]
    if prefix:
        # The prefix names the port, so the port has to be known first.
        port = _free_port()
        options += ["--port", str(port), "--path_prefix", prefix.format(port=port).rstrip("/")]
    else:
        options += ["--port", "0"]
    board.configure(argv=["tensorboard", *options])
    return urllib.parse.urlsplit(board.launch()).port


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _main(name: str, settings: str) -> None:
    serve = {"TensorBoardServer": _serve_tensorboard}[name]
    # A server may print; the parent reads the port from what was standard output.
    parent, sys.stdout = sys.stdout, sys.stderr
    port = serve(**json.loads(settings))
    print(port, file=parent, flush=True)
    sys.stdin.read()  # until the parent closes it or is gone
    os._exit(0)


if __name__ == "__main__":
    _main(*sys.argv[1:])
