"""Visdom's environments: what they may be called, and how a server keeps them in its folder.

All but ``check_name`` runs in the server's process, and changes Visdom 0.2.4 or 0.3.0 there.
"""

import contextlib
import html
import json
import os
import re
import tempfile
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from tornado.web import HTTPError, RequestHandler

RULE = (
    "an environment's name has 1 to 60 letters, digits, spaces, dots, '_' and '-', begins with a "
    "letter or digit, ends with neither a dot nor a space nor '.json', and isn't 'view', 'con', "
    "'nul' or the like"
)
"""So that it can be the name of a file on every system, and a part of an address as it stands.

The like of con are Windows' devices.
"""

NAME = re.compile(
    r"(?!(view$|(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)))[^\W_][\w .-]{0,59}(?<![ .])(?<!\.json)",
    re.IGNORECASE,
)

SAVING = ".saving"
"""Ends the name of a file that isn't complete yet. Visdom takes it for none of its own."""


def check_name(name: object) -> None:
    """Raise ValueError, with the rule, if an environment can't have this name."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        shown = ascii(name)
        raise ValueError(f"{shown if len(shown) < 70 else shown[:66] + ' ...'}: {RULE}")


class Environments(dict):
    """Visdom's environments by name. HTTPError, for whoever asked, if it can't be their name."""

    def __setitem__(self, name: object, content: object) -> None:
        try:
            check_name(name)
        except ValueError as error:
            raise refusal(400, str(error)) from None
        super().__setitem__(name, content)


def refusal(status: int, sentence: str) -> HTTPError:
    """An error whose sentence comes along as the reason beside the status, quoted for HTTP."""
    return HTTPError(status, reason=urllib.parse.quote(sentence, safe=" !#$&'()*+,/:;=?@[]|~\""))


@contextlib.contextmanager
def refused_if_unwritable(path: Path) -> Iterator[None]:
    """Make what the system says when a file can't be written an answer to whoever asked."""
    try:
        yield
    except OSError as error:
        sentence = f"{path.name} can't be written in {path.parent}: {error.strerror}. " + (
            "What was saved there before is still there"
        )
        raise refusal(507, sentence) from None


@contextlib.contextmanager
def open_whole(path: Path | str, mode: str = "r", **options: object) -> Iterator[IO]:
    """Like ``open``, but a file that is written gets its name only when it is complete."""
    if mode != "w":
        with open(path, mode, **options) as file:
            yield file
        return
    path = Path(path)
    with refused_if_unwritable(path):
        file = tempfile.NamedTemporaryFile(  # noqa: SIM115 (closed before it gets its name)
            "w", dir=path.parent, suffix=SAVING, delete=False, encoding="utf-8"
        )
        try:
            with file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise


class Files:
    """What Visdom 0.2.4's handlers need of ``os``; what was never saved is deleted as well."""

    path = os.path

    @staticmethod
    def remove(path: str) -> None:
        with refused_if_unwritable(Path(path)):
            Path(path).unlink(missing_ok=True)


def mend_visdom(env_path: str) -> None:
    """Have Visdom write whole files, keep names as they are, and say in its page what it refuses.

    To be called before the server's Application is made.
    """
    from visdom.server import app
    from visdom.server.handlers import socket_handlers, web_handlers
    from visdom.utils import server_utils

    for left in Path(env_path).glob(f"*{SAVING}"):  # by a server that was killed
        left.unlink()
    writers = [app, server_utils]
    with contextlib.suppress(ImportError):
        from visdom.data_model import json_store  # from 0.3.0 on

        writers.append(json_store)
    for module in writers:
        module.open = open_whole
    for module in (socket_handlers, web_handlers):
        module.os = Files
    for module in (socket_handlers, web_handlers, server_utils):
        module.escape_eid = lambda name: name  # "/" would be "_" here and there
    if gather := getattr(server_utils.gather_envs, "__defaults__", None):  # of 0.2.4
        assert len(gather) == 1
        server_utils.gather_envs.__defaults__ = (env_path,)  # not those in the user's home

    # Theirs draws a page of the traceback, for which 0.3.0 gives up the reason.
    web_handlers.BaseHandler.write_error = RequestHandler.write_error
    answer = socket_handlers.SocketHandler.on_message

    def on_message(self: object, message: str) -> None:
        try:
            answer(self, message)
        except HTTPError as error:
            self.write_message(note(urllib.parse.unquote(error.reason)))

    socket_handlers.SocketHandler.on_message = on_message


def note(sentence: str) -> str:
    """A command to the page: show this sentence in a window."""
    window = {"type": "text", "id": "refused", "contentID": "refused", "title": "Not done"}
    place = {"inflate": True, "width": None, "height": None, "i": 0}
    return json.dumps({"command": "window", "content": html.escape(sentence)} | window | place)
