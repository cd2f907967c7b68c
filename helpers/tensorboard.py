"""TensorBoard as a page of its own process, shown inside the notebook."""

import urllib.parse
from pathlib import Path

from helpers.pages.process import free_port, run
from helpers.pages.server import PageServer


class TensorBoardServer(PageServer):
    """TensorBoard over the event files below a folder.

    It looks for new entries every 5 seconds. ``url`` is its address and ``port`` its port;
    ``stop()``, or leaving a ``with`` block, ends it. As a cell's last line it shows the page.

    Raises FileNotFoundError if there is no such folder, ServerError if TensorBoard doesn't
    start.
    """

    script = Path(__file__)

    def __init__(self, logdir: Path | str) -> None:
        if not Path(logdir).is_dir():
            raise FileNotFoundError(f"no folder {logdir}: train first, or name the run's folder")
        super().__init__(logdir=str(Path(logdir).resolve()))


def serve(logdir: str, prefix: str) -> int:
    """Start TensorBoard in a thread; return its port."""
    from tensorboard import program

    board = program.TensorBoard()
    options = ["--logdir", logdir, "--host", "127.0.0.1", "--reload_interval", "5"]
    if prefix:
        # The prefix names the port, so the port has to be known first.
        port = free_port()
        options += ["--port", str(port), "--path_prefix", prefix.format(port=port).rstrip("/")]
    else:
        options += ["--port", "0"]
    board.configure(argv=["tensorboard", *options])
    return urllib.parse.urlsplit(board.launch()).port


if __name__ == "__main__":  # in the server's own process
    run(serve)
