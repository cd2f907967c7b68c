"""TensorBoard and Visdom, each as a page of its own process, shown inside the notebook."""

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

PROCESS = Path(__file__).with_name("server_process.py")
"""What runs in a server's own process."""

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

    def __init__(self, **settings: object) -> None:
        settings["prefix"] = _proxy_prefix()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (closed by stop)
        self._process = subprocess.Popen(
            [sys.executable, "-P", PROCESS, type(self).__name__],
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


class VisdomServer(_PageServer):
    """Visdom, which keeps its environments in a folder, and its clients.

    ``client()`` hands out clients; ``url`` is the address of the page and ``port`` its port;
    ``stop()``, or leaving a ``with`` block, ends it. As a cell's last line it shows the page.
    What ``client().save([...])`` saved is there again for the next server on the same folder;
    what wasn't saved is lost with the server.

    Only programs on this machine reach the server, but any user's can. Where others work on the
    same machine, ask for a name and a password: ``login=("me", getpass.getpass())``. Then log in
    at ``url``, in a tab of its own; ``client()`` logs in by itself.

    ``port`` is for those who need a certain one, and ``page=False`` for a server without its
    page, which needs no download.

    Raises OSError if the folder can't be made, AssetsError if the page's files can't be had,
    ServerError if Visdom doesn't start.
    """

    def __init__(
        self,
        env_path: Path | str,
        port: int = 0,
        login: tuple[str, str] | None = None,
        page: bool = True,
    ) -> None:
        from helpers.visdom_assets import page_folder

        env_path = Path(env_path).resolve()
        env_path.mkdir(parents=True, exist_ok=True)
        for file in env_path.glob("*.json"):
            _check_environment(file)
        if login is not None and not all(login):
            raise ValueError("login must be a name and a password, and neither of them empty")
        self._login = login
        self._clients = []
        self._has_page = page
        folder = str(page_folder()) if page else None
        super().__init__(env_path=str(env_path), port=port, login=login, page_folder=folder)

    def client(self, env: str = "main", **options: object):
        """A client that draws in the environment ``env``; ``options`` are those of Visdom's own.

        Raises ServerError if the server is gone.
        """
        from helpers.visdom_client import VisdomClient  # imports torch

        username, password = self._login or (None, None)
        client = VisdomClient(
            server="http://127.0.0.1",
            port=self.port,
            base_url=self._path.rstrip("/") or "/",
            env=env,
            username=username,
            password=password,
            **options,
        )
        self._clients.append(client)
        return client

    def stop(self) -> None:
        """End the process and wait for it. Does nothing the second time."""
        for client in self._clients:
            client.use_socket = False  # or its thread would try for ever to connect again
        super().stop()

    def _repr_html_(self) -> str:
        if self.is_running and not self._has_page:
            return "<p>Visdom runs without its page.</p>"
        return super()._repr_html_()


def _check_environment(file: Path) -> None:
    """Raise ServerError if a saved environment is damaged: Visdom would drop it or not start."""
    try:
        content = json.loads(file.read_bytes())
        if not {"jsons", "reload"} <= content.keys():
            raise ValueError("not an environment of Visdom")
    except (ValueError, AttributeError) as error:
        raise ServerError(
            f"{file} is damaged ({error}). Move it away, and its windows are gone, or put back "
            "a good copy of it."
        ) from None


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
