"""Whom a server answers: the user who started it, and no web page but its own.

A server on 127.0.0.1 can be reached by every user of the machine, and by every web page that the
reader's browser has open. Jupyter keeps users out with a secret in the address, and pages out by
looking at the headers Host and Origin (``jupyter_server.base.handlers``). Here the headers are
looked at as there, but where the system says which user a connection comes from, no secret is
needed: there is none that a stored notebook, a log or the process list could give away.
"""

import os
import socket
import sys
from pathlib import Path
from urllib.parse import urlsplit

LOOPBACK = {"127.0.0.1", "localhost", "::1"}
"""Names under which a browser on this machine, or at the near end of a tunnel, asks."""

OUTSIDE = -1
"""Instead of a user's id: a program beyond this system, as Windows is for its own Linux (WSL)."""

ESTABLISHED = "01"
"""The state of an open connection, in Linux's tables."""

Address = tuple[str, int]


class Guard:
    """Decides on each request to the server at ``port``.

    ``base`` is the path before all of the page's addresses, "" or "/...". If ``by_user``, other
    users of the machine are refused; root isn't. If ``proxied``, requests come through a Jupyter
    server too, which has asked for a login and knows its own names; if ``elsewhere``, no browser
    runs on this machine, and Host and Origin say nothing.
    """

    def __init__(
        self, port: int, base: str, by_user: bool, proxied: bool = False, elsewhere: bool = False
    ) -> None:
        self.port = port
        self.base = base.format(port=port)
        self.by_user = by_user
        self.proxied = proxied
        self.elsewhere = elsewhere

    def refusal(self, path: str, host: str, origin: str | None, peer: Address) -> str | None:
        """Why a request isn't answered, in a sentence; None if it is.

        ``path``, ``host`` and ``origin`` are the request's, ``peer`` is where it comes from.
        """
        if self.by_user and sys.platform != "win32":
            user = user_of(peer, ("127.0.0.1", self.port))
            if user not in (os.getuid(), 0, OUTSIDE):
                return "This page belongs to another user of this machine."
        if not self.elsewhere:
            where = urlsplit(f"//{host}")
            # Who is led here by a name of his own (DNS rebinding) asks for this very port.
            known = self.proxied and _port(where) != self.port
            if where.hostname not in LOOPBACK and not known:
                return f"This page isn't called {host!a} but 127.0.0.1."
            if origin is not None and urlsplit(origin).netloc != host:
                return f"A page at {origin!a} has no business here."
        if not f"{path}/".startswith(f"{self.base}/"):
            return "This isn't the page's whole address. Show the server in its notebook again."
        return None


def _port(where: object) -> int | None:
    try:
        return where.port
    except ValueError:
        return None


def user_of(peer: Address, here: Address, tables: Path = Path("/proc/net")) -> int | None:
    """Id of the user whose process has the far end of a connection, on Linux.

    OUTSIDE if no process of this system has it, and None if none has it any more: then nobody
    waits for an answer. ``peer`` and ``here`` are the two ends, both IPv4.
    """
    far, near = (f"{_hexadecimal(host)}:{port:04X}" for host, port in (peer, here))
    user = None
    for name in ("tcp", "tcp6"):  # an IPv6 socket can ask an IPv4 one
        table = tables / name
        for line in table.read_text("ascii").splitlines()[1:] if table.exists() else ():
            _, local, remote, state, _, _, _, owner, _, inode, *_ = line.split()
            if local.endswith(far) and remote.endswith(near):
                return int(owner) if inode != "0" else None
            if local.endswith(near) and remote.endswith(far) and state == ESTABLISHED:
                user = OUTSIDE
    return user


def _hexadecimal(address: str) -> str:
    """An IPv4 address as Linux's tables write it."""
    number = int.from_bytes(socket.inet_aton(address.removeprefix("::ffff:")), sys.byteorder)
    return f"{number:08X}"


def knows_users() -> bool:
    """Whether the system says whose connection it is: tried with one to ourselves."""
    if sys.platform == "win32":
        return False
    with socket.create_server(("127.0.0.1", 0)) as server:
        here = server.getsockname()
        with socket.create_connection(here) as connection:
            return user_of(connection.getsockname(), here) == os.getuid()
