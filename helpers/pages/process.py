"""What every server's own process does: see ``helpers.pages.server``.

The first line of standard input holds the settings, as JSON. When all of the server answers, its
port is written to standard output. When standard input closes, the process ends.
"""

import json
import os
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Callable

from helpers.pages.guard import Guard


def run(serve: Callable[..., None], stop: Callable[[], object] = lambda: None) -> None:
    """Listen, call ``serve``, tell the parent the port, and wait for the end.

    ``serve`` gets the listening socket, a Guard and the settings, starts a server in a thread,
    and returns when all of it answers. A SystemExit says in a sentence why it doesn't. ``stop``
    ends what wouldn't end with this process.
    """
    settings = json.loads(sys.stdin.readline())
    # A server may print; the parent reads the port from what was standard output.
    parent, sys.stdout = sys.stdout, sys.stderr
    os.umask(0o077)  # what it writes is for its user only
    listening = listen(settings.pop("port"))
    port = listening.getsockname()[1]
    serve(listening, Guard(port, **settings.pop("guard")), **settings)
    print(port, file=parent, flush=True)
    sys.stdin.read()  # until the parent closes it or is gone
    stop()
    os._exit(0)


def listen(port: int) -> socket.socket:
    """A socket that listens at a port of 127.0.0.1, or at a free one if ``port`` is 0.

    So early that no one can take the port in between.
    """
    try:
        return socket.create_server(("127.0.0.1", port), backlog=128)
    except (OSError, OverflowError) as error:
        reason = os.strerror(error.errno) if getattr(error, "errno", None) else error
        raise SystemExit(f"port {port}: {reason}. Leave out port= to get a free one.") from None


def ask(address: str, data: str | None = None, timeout: float = 30) -> str:
    """Get an address, or post data to it: the answer's text. SystemExit if there is none."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # none leads here
    try:
        with opener.open(address, data and data.encode(), timeout) as reply:
            return reply.read().decode("utf-8", errors="replace")
    except urllib.error.HTTPError as error:
        raise SystemExit(f"it answers {error.code} at {address}") from None
    except OSError as error:
        raise SystemExit(f"it doesn't answer at {address}: {error}") from None
