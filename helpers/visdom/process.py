"""What runs in the process of a VisdomServer: Visdom's own server, on the loopback address."""

import asyncio
import hashlib
import json
import os
import re
import secrets
import sys
import tempfile
import threading
import urllib.parse
from pathlib import Path

from helpers.pages.process import asker, run

PROBE = '{"win": "", "eid": "main"}'
"""Asks a Visdom for a window that isn't there: the answer is "false"."""


def serve(
    env_path: str, port: int, login: list[str] | None, page_folder: str | None, prefix: str
) -> int:
    """Start Visdom in a thread; return its port when all of it answers."""
    sys.meta_path.insert(0, NoTorch())
    from tornado.httpserver import HTTPServer
    from tornado.netutil import bind_sockets
    from visdom.server import app
    from visdom.utils.server_utils import gather_envs, hash_password

    # Listening before anything else, so that no one can take the port in between.
    try:
        sockets = bind_sockets(port, "127.0.0.1")
    except OSError as error:
        raise SystemExit(f"port {port}: {error.strerror}. {who_is_on(port)}") from None
    port = sockets[0].getsockname()[1]
    base = prefix.format(port=port).rstrip("/")

    if gather_envs.__defaults__:  # 0.2.4 would compare environments in the user's home
        gather_envs.__defaults__ = (env_path,)
    folder = page_folder or os.devnull
    # Autoreload would start the server anew, without its windows, when a module's file changes.
    app.tornado_settings.update(static_path=folder, template_path=folder, autoreload=False)
    credential = None
    if login:
        credential = sent_by_client(*login)
        credential["password"] = hash_password(credential["password"])
    with tempfile.TemporaryDirectory() as private:
        # Visdom reads the secret of its cookies from a file, by default in the user's home.
        Path(private, "COOKIE_SECRET").write_text(secrets.token_hex(32))
        app.DEFAULT_ENV_PATH = f"{private}/"
        application = app.Application(
            port=port,
            base_url=base,
            env_path=env_path,
            user_credential=credential,
            eager_data_loading=True,  # 0.2.4 saves an environment that isn't loaded as nothing
        )
    application.max_image_history = 1000  # 0.3.0 would keep the last four of a training's images

    async def serve() -> None:
        HTTPServer(application, max_buffer_size=1024**3).add_sockets(sockets)
        await asyncio.Event().wait()

    threading.Thread(target=lambda: asyncio.run(serve()), daemon=True).start()
    check_visdom(f"http://127.0.0.1:{port}{base}", login, page=page_folder is not None)
    return port


def sent_by_client(name: str, password: str) -> dict[str, str]:
    """What Visdom's client and its login page send for a user."""
    return {"username": name, "password": hashlib.sha256(password.encode()).hexdigest()}


class NoTorch:
    """Hides torch from this process: Visdom's server would take seconds to import it, unused."""

    def find_spec(self, name: str, *_: object) -> None:
        if name == "torch":
            raise ModuleNotFoundError("hidden", name=name)


def check_visdom(address: str, login: list[str] | None, page: bool) -> None:
    """Ask for all that a client and a browser will ask for. SystemExit if any of it is missing."""
    ask = asker()
    if login:
        ask(f"{address}/", json.dumps(sent_by_client(*login)))
    if ask(f"{address}/win_exists", PROBE) != "false":
        raise SystemExit("its API doesn't answer as Visdom's does")
    if page:
        for link in re.findall(r'(?:src|href)=["\']?([^"\'\s>]+)', ask(f"{address}/")):
            answer = ask(urllib.parse.urljoin(address, link)) if "/static/" in link else link
            if not answer and "/user/" not in link:  # the reader's own style is mostly empty
                raise SystemExit(f"{link}, a part of its page, is empty")


def who_is_on(port: int) -> str:
    """A sentence on what holds a port, and what to do."""
    try:
        answer = asker()(f"http://127.0.0.1:{port}/win_exists", PROBE, timeout=2)
        holder = "A Visdom server" if answer in ("true", "false") else "Another web server"
    except SystemExit as refusal:
        holder = "Another web server" if "it answers" in str(refusal) else "Another program"
    return f"{holder} may be running there: leave out port= to get a free one."


if __name__ == "__main__":
    run(serve)
