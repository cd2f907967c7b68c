"""Visdom's client as a chapter wants it: data as you have it, no noise, errors in a sentence.

Visdom 0.2.4 and 0.3.0 (https://github.com/fossasia/visdom) draw; this only smooths their edges.
"""

import functools
import http.client
import inspect
import json
import logging
import urllib.parse
from collections.abc import Callable

import numpy as np
import requests
import visdom

from helpers.pages.server import ServerError

# It reports each new connection, and every failing one for as long as the kernel lives.
logging.getLogger("visdom").setLevel(logging.CRITICAL)

LISTS = (
    "legend",
    "rownames",
    "columnnames",
    "xtickvals",
    "xticklabels",
    "ytickvals",
    "yticklabels",
)
ARRAYS = ("dash", "linecolor", "markercolor")
"""Options that Visdom takes as a list only, and as an ndarray only."""


class VisdomClient(visdom.Visdom):
    """A ``visdom.Visdom`` with all its methods, for a server that ``VisdomServer`` started.

    Data may be torch tensors (on any device, with or without gradients), numpy arrays or lists;
    an option that is a sequence may be any of these too. ``opts`` is left as it is: the same
    dictionary can serve several calls.

    Raises ServerError if the server is gone, is something other than Visdom, or refuses a
    request; ValueError for infinite numbers, which a browser can't draw.
    """

    def __init__(self, **options: object) -> None:
        super().__init__(raise_exceptions=True, **options)
        if not self.offline and not self.check_connection():
            raise ServerError(f"what answers at {self.server}:{self.port} isn't Visdom")

    @property
    def session(self) -> requests.Session:
        """The connection; made at first use."""
        if self._session is None:
            session = requests.Session()
            session.trust_env = False  # no proxy leads to this machine
            self._session = session
        return self._session

    def _handle_post(self, url: str, data: str | None = None) -> str:
        try:
            reply = self.session.post(url, data=data or "{}", timeout=60)
        except requests.RequestException:
            raise ServerError(
                f"Visdom at {self.server}:{self.port} doesn't answer: it was stopped, or died. "
                "Start a new VisdomServer on the same folder: what was saved is there again."
            ) from None
        if not reply.ok:
            known = reply.reason == http.client.responses.get(reply.status_code)
            why = (
                f"(status {reply.status_code}): is there a window and an environment of that name?"
                if known
                else f"because {urllib.parse.unquote(reply.reason)}."
            )
            raise ServerError(f"Visdom refuses {url.rpartition('/')[2]!r} {why}")
        return reply.text

    def get_env_list(self) -> list[str]:
        """Names of the server's environments. (Visdom 0.3.0's own answers with windows.)"""
        if self.offline:
            return sorted(self.env_list)
        return json.loads(self._handle_post(f"{self.server}:{self.port}{self.base_url}/env_state"))


def _plain(value: object) -> object:
    """A tensor as an array, on the CPU and without gradients; anything else as it is."""
    return value.detach().cpu().numpy() if hasattr(value, "detach") else value


def _options(opts: dict) -> dict:
    """A copy of ``opts`` with each option as Visdom takes it."""
    opts = {name: _plain(value) for name, value in opts.items()}
    for name in opts.keys() & set(LISTS):
        opts[name] = np.asarray(opts[name]).tolist()
    for name in opts.keys() & set(ARRAYS):
        opts[name] = np.asarray(opts[name])
    return opts


def _drawing(method: Callable) -> Callable:
    """A drawing method of Visdom's, with its data and options converted and checked."""

    @functools.wraps(method)
    def draw(self: VisdomClient, *args: object, **kwargs: object) -> str:
        args = [_plain(value) for value in args]
        kwargs = {name: _plain(value) for name, value in kwargs.items()}
        for value in (*args, *kwargs.values()):
            if isinstance(value, np.ndarray) and value.dtype.kind == "f" and np.isinf(value).any():
                raise ValueError(
                    f"{method.__name__}: infinite numbers can't be drawn; leave them out, or "
                    "replace them with NaN where a gap will do"
                )
        if isinstance(kwargs.get("opts"), dict):
            kwargs["opts"] = _options(kwargs["opts"])
        return method(self, *args, **kwargs)

    return draw


for _name, _method in inspect.getmembers(visdom.Visdom, inspect.isfunction):
    if not _name.startswith("_") and "opts" in inspect.signature(_method).parameters:
        setattr(VisdomClient, _name, _drawing(_method))
