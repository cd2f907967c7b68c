"""What runs in the process of a VisdomServer: Visdom's own server, on the loopback address."""

import asyncio
import os
import re
import socket
import sys
import threading
import urllib.parse

from tornado.httpserver import HTTPServer
from tornado.web import HTTPError

from helpers.pages.guard import Guard
from helpers.pages.guarded import guarded
from helpers.pages.process import ask, run

PROBE = '{"win": "", "eid": "main"}'
"""Asks a Visdom for a window that isn't there: the answer is "false"."""


def serve(listening: socket.socket, guard: Guard, env_path: str, page_folder: str | None) -> None:
    """Start Visdom in a thread, and see that all of it answers."""
    sys.meta_path.insert(0, NoTorch())
    from visdom.server import app

    from helpers.visdom.environments import Environments, mend_visdom

    mend_visdom(env_path)
    folder = page_folder or os.devnull
    # Autoreload would start the server anew, without its windows, when a module's file changes.
    app.tornado_settings.update(static_path=folder, template_path=folder)
    app.tornado_settings.update(autoreload=False, serve_traceback=False)
    try:
        application = guarded(app.Application, guard)(
            port=guard.port,
            base_url=guard.base,
            env_path=env_path,
            eager_data_loading=True,  # 0.2.4 saves an environment that isn't loaded as nothing
        )
    except HTTPError as error:
        raise SystemExit(urllib.parse.unquote(error.reason)) from None
    except OSError as error:
        raise SystemExit(f"{env_path} can't be used: {error}") from None
    application.state = Environments(application.state)
    application.max_image_history = 1000  # 0.3.0 would keep the last four of a training's images

    async def answer() -> None:
        listening.setblocking(False)
        HTTPServer(application, max_buffer_size=1024**3).add_sockets([listening])
        await asyncio.Event().wait()

    threading.Thread(target=lambda: asyncio.run(answer()), daemon=True).start()
    check_visdom(f"http://127.0.0.1:{guard.port}{guard.base}", page=page_folder is not None)


class NoTorch:
    """Hides torch from this process: Visdom's server would take seconds to import it, unused."""

    def find_spec(self, name: str, *_: object) -> None:
        if name == "torch":
            raise ModuleNotFoundError("hidden", name=name)


def check_visdom(address: str, page: bool) -> None:
    """Ask for all that a client and a browser will ask for. SystemExit if any of it is missing."""
    if ask(f"{address}/win_exists", PROBE) != "false":
        raise SystemExit("its API doesn't answer as Visdom's does")
    if page:
        for link in re.findall(r'(?:src|href)=["\']?([^"\'\s>]+)', ask(f"{address}/")):
            answer = ask(urllib.parse.urljoin(address, link)) if "/static/" in link else link
            if not answer and "/user/" not in link:  # the reader's own style is mostly empty
                raise SystemExit(f"{link}, a part of its page, is empty")


if __name__ == "__main__":
    run(serve)
