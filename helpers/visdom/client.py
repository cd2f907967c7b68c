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
from helpers.values import bin_edges, plain
from helpers.visdom.values import numbers, picture, sendable

# It reports each new connection, and every failing one for as long as the kernel lives.
logging.getLogger("visdom").setLevel(logging.CRITICAL)

LISTS = (
    "legend",
    "rownames",
    "columnnames",
    "textlabels",
    "xtickvals",
    "xticklabels",
    "ytickvals",
    "yticklabels",
)
ARRAYS = ("dash", "linecolor", "markercolor")
"""Options that Visdom takes as a list only, and as an ndarray only."""

NO_DATA = ("win", "env", "opts", "update", "name", "append", "nrow", "padding", "dim")
"""Arguments of drawing methods that hold no data."""


class VisdomClient(visdom.Visdom):
    """A ``visdom.Visdom`` with all its methods, for a server that ``VisdomServer`` started.

    Data may be torch tensors (on any device, of any dtype, with or without gradients), numpy
    arrays, numbers, or lists of these; so may be what an option holds. A single number is a
    series of one, but for ``stem``, ``bar``, ``boxplot`` and ``pie``, which need two or more.
    ``opts`` is left as it is: the same dictionary can serve several calls.

    NaN and infinity are a gap in ``line``, ``scatter``, ``stem``, ``bar``, ``boxplot``,
    ``heatmap``, ``surf`` and ``contour``, and a ValueError in every other method. An image is
    (channels, height, width) or (height, width), as floats in [0, 1], bool, or whole numbers
    from 0 to 255; with ``opts=dict(normalize=True)`` in any range. Titles and labels may be in
    any script; Plotly reads a little HTML in them (``<br>``, ``<b>``, ``&amp;``).

    Raises ServerError if the server is gone, is something other than Visdom, or refuses a
    request; ValueError, which names method and argument, for data that can't be drawn.
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

    def _send(self, msg: dict, *args: object, **kwargs: object) -> str:
        return super()._send(sendable(msg), *args, **kwargs)

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

    def close(self, win: str | None = None, env: str | None = None) -> str | None:
        """Close a window, or all of an environment's. Does nothing where there is none."""
        if (env or self.env) in self.get_env_list():
            return super().close(win, env)
        return None

    def histogram(
        self,
        X: object,
        win: str | None = None,
        env: str | None = None,
        opts: dict | None = None,
    ) -> str:
        """How the finite numbers in ``X`` are distributed, in ``opts["numbins"]`` bars.

        If that isn't given they are as many as there are numbers, but 3 to 30. A bar stands at the
        middle of its bin. Visdom's own moves it by up to half a bin, and draws numbers that are all
        alike as bars in one place. Raises ValueError if ``numbins`` isn't a whole number, 2 or
        more: Visdom can't draw a single bar.
        """
        values = np.ravel(numbers("histogram", "X", plain(X)))
        opts = dict(opts or {})
        bins = opts.setdefault("numbins", max(3, min(30, values.size)))
        if not isinstance(bins, (int, np.integer)) or isinstance(bins, bool) or bins < 2:
            raise ValueError(
                f"histogram: numbins is {bins!r}; Visdom needs a whole number, 2 or more"
            )
        edges = bin_edges(values, bins)
        counts, _ = np.histogram(values.astype(float), edges)
        return self.bar(counts, Y=edges[:-1] / 2 + edges[1:] / 2, win=win, env=env, opts=opts)


def _options(method: str, opts: dict) -> dict:
    """A copy of ``opts`` with each option as Visdom takes it."""
    opts = plain(opts)
    for name in opts.keys() & set(LISTS):
        opts[name] = np.asarray(opts[name]).tolist()
    for name in opts.keys() & set(ARRAYS):
        opts[name] = np.asarray(opts[name])
    for name, value in opts.items():
        if isinstance(value, float | np.floating) and not np.isfinite(value):
            raise ValueError(f"{method}: the option {name} must be a finite number, got {value}")
    return opts


def _drawing(method: Callable) -> Callable:
    """A drawing method of Visdom's, with its data and options converted and checked."""
    name, signature = method.__name__, inspect.signature(method)

    @functools.wraps(method)
    def draw(*args: object, **kwargs: object) -> str:
        call = signature.bind(*args, **kwargs)
        given = call.arguments
        if isinstance(given.get("opts"), dict):
            given["opts"] = _options(name, given["opts"])
        opts = given.get("opts") or {}
        for argument in given.keys() - {"self", *NO_DATA}:
            value = plain(given[argument])
            if value is None:
                continue
            if name in ("image", "images"):
                value = picture(name, argument, value, bool(opts.get("normalize")))
                if name == "image":
                    value = np.rint(255 * value).astype(np.uint8)
            elif isinstance(value, list) or getattr(value, "ndim", 0) or argument in ("X", "Y"):
                value = numbers(name, argument, value)
            given[argument] = value
        if given.get("append") and given.get("win"):  # Visdom drops text for a window to come
            client, place = given["self"], (given["win"], given.get("env"))
            given["append"] = client.win_exists(*place) is not False
        if name in ("surf", "contour"):  # whose own range is NaN where a single value is
            low, high = bin_edges(given["X"][np.isfinite(given["X"])], 1)
            given["opts"] = {"xmin": low, "xmax": high} | opts
        return method(*call.args, **call.kwargs)

    return draw


for _name, _method in inspect.getmembers(visdom.Visdom, inspect.isfunction):
    _draws = not _name.startswith("_") and "opts" in inspect.signature(_method).parameters
    if _draws and _name not in vars(VisdomClient):
        setattr(VisdomClient, _name, _drawing(_method))
