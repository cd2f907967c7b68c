"""Visdom: a server with a page that needs no network, and clients that take data as it comes."""

from helpers.pages.server import ServerError
from helpers.visdom.client import VisdomClient
from helpers.visdom.page import AssetsError
from helpers.visdom.server import VisdomServer

__all__ = ["AssetsError", "ServerError", "VisdomClient", "VisdomServer"]
