"""TensorBoard as a page of its own process, shown inside the notebook."""

import socket
from collections.abc import Callable, Iterable
from pathlib import Path

from helpers.pages.guard import Guard
from helpers.pages.process import run
from helpers.pages.server import PageServer


class TensorBoardServer(PageServer):
    """TensorBoard over the event files below a folder.

    It looks for new entries every 5 seconds. As a cell's last line it shows the page; ``url`` is
    its address and ``port`` its port. ``stop()``, leaving a ``with`` block, or giving its variable
    to something else ends it. It answers its own user only.

    ``port`` is for those who need a certain one, as for ``ssh -L``: see ``helpers.pages.reach``.

    Raises FileNotFoundError if there is no such folder, ServerError if TensorBoard doesn't
    start.
    """

    script = Path(__file__)

    def __init__(self, logdir: Path | str, port: int = 0) -> None:
        if not Path(logdir).is_dir():
            raise FileNotFoundError(f"no folder {logdir}: train first, or name the run's folder")
        super().__init__(port, logdir=str(Path(logdir).resolve()))


def serve(listening: socket.socket, guard: Guard, logdir: str) -> None:
    """Start TensorBoard in a thread."""
    from tensorboard import program
    from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

    class Handler(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"  # one connection for many requests

        def log(self, *_: object) -> None:
            """Keep no log."""

    class Server(ThreadedWSGIServer):
        daemon_threads = True

        def __init__(self, app: Callable, _: object) -> None:
            app = guarded(app, guard)
            super().__init__("127.0.0.1", guard.port, app, Handler, fd=listening.fileno())

        def get_url(self) -> str:
            return f"http://127.0.0.1:{guard.port}{guard.base}/"

    board = program.TensorBoard(server_class=Server)
    # Its faster loader is one more server, which would answer every user.
    options = ["--logdir", logdir, "--reload_interval", "5", "--load_fast", "false"]
    board.configure(argv=["tensorboard", *options, "--path_prefix", guard.base])
    board.launch()


def guarded(app: Callable, guard: Guard) -> Callable:
    """A WSGI application that hands on what the guard lets pass."""

    def answer(environ: dict, start_response: Callable) -> Iterable[bytes]:
        if environ["PATH_INFO"].startswith("/font-roboto/"):  # TensorBoard forgets the prefix
            environ["PATH_INFO"] = guard.base + environ["PATH_INFO"]
        refusal = guard.refusal(
            environ["PATH_INFO"],
            environ.get("HTTP_HOST", ""),
            environ.get("HTTP_ORIGIN"),
            (environ["REMOTE_ADDR"], environ["REMOTE_PORT"]),
        )
        if refusal is None:
            return app(environ, start_response)
        text = refusal.encode()
        headers = {"Content-Type": "text/plain", "Content-Length": str(len(text))}
        start_response("403 Forbidden", [*headers.items(), ("Connection", "close")])
        return [text]

    return answer


if __name__ == "__main__":  # in the server's own process
    run(serve)
