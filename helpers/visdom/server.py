"""Visdom as a page of its own process, shown inside the notebook, and its clients."""

import json
from pathlib import Path

from helpers.pages.server import PageServer, ServerError
from helpers.visdom.client import VisdomClient
from helpers.visdom.environments import check_name
from helpers.visdom.page import page_folder


class VisdomServer(PageServer):
    """Visdom, which keeps its environments in a folder, and its clients.

    ``client()`` hands out clients. As a cell's last line it shows the page; ``url`` is its address
    and ``port`` its port. ``stop()``, leaving a ``with`` block, or giving its variable to something
    else ends it. What ``client().save([...])`` saved is there again for the next server on the same
    folder; what wasn't saved is lost with the server.

    It answers its own user only, and the folder and its files are made for that user only.

    ``port`` is for those who need a certain one, as for ``ssh -L``: see ``helpers.pages.reach``.
    ``page=False`` is for a server without its page, which needs no download.

    Raises OSError if the folder can't be made, AssetsError if the page's files can't be had,
    ServerError if Visdom doesn't start.
    """

    script = Path(__file__).with_name("process.py")

    def __init__(self, env_path: Path | str, port: int = 0, page: bool = True) -> None:
        env_path = Path(env_path).resolve()
        env_path.mkdir(mode=0o700, parents=True, exist_ok=True)
        for file in env_path.glob("*.json"):
            _check_environment(file)
        self._clients = []
        self._has_page = page
        folder = str(page_folder()) if page else None
        super().__init__(port, env_path=str(env_path), page_folder=folder)

    def client(self, env: str = "main", **options: object) -> VisdomClient:
        """A client that draws in the environment ``env``; ``options`` are those of Visdom's own.

        Raises ValueError if no environment can have that name, ServerError if the server is gone.
        """
        check_name(env)
        client = VisdomClient(
            server="http://127.0.0.1",
            port=self.port,
            base_url=self._path.rstrip("/") or "/",
            env=env,
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
