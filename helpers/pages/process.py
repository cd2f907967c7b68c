"""What every server's own process does: see ``helpers.pages.server``.

The first line of standard input holds the settings, as JSON. When all of the server answers, its
port is written to standard output. When standard input closes, the process ends.
"""

import http.cookiejar
import json
import os
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Callable


def run(serve: Callable[..., int], stop: Callable[[], object] = lambda: None) -> None:
    """Call ``serve`` with the settings, tell the parent the port it returns, wait for the end.

    ``serve`` starts a server in a thread, and returns when all of it answers. A SystemExit says
    in a sentence why it doesn't. ``stop`` ends what wouldn't end with this process.
    """
    settings = json.loads(sys.stdin.readline())
    # A server may print; the parent reads the port from what was standard output.
    parent, sys.stdout = sys.stdout, sys.stderr
    port = serve(**settings)
    print(port, file=parent, flush=True)
    sys.stdin.read()  # until the parent closes it or is gone
    stop()
    os._exit(0)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody had a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def asker() -> Callable[..., str]:
    """A function that gets an address, or posts data to it, and returns the answer's text."""
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}),  # no proxy leads to this machine
        urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()),
    )

    def ask(address: str, data: str | None = None, timeout: float = 30) -> str:
        try:
            with opener.open(address, data and data.encode(), timeout) as reply:
                return reply.read().decode("utf-8", errors="replace")
        except urllib.error.HTTPError as error:
            raise SystemExit(f"it answers {error.code} at {address}") from None
        except OSError as error:
            raise SystemExit(f"it doesn't answer at {address}: {error}") from None

    return ask
