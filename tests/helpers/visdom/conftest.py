"""Visdom servers that serve many tests; each draws into an environment of its own."""

import pytest

from helpers.visdom import VisdomServer


@pytest.fixture(scope="module")
def visdom(tmp_path_factory):
    """A Visdom server that serves many tests; each draws into an environment of its own."""
    with VisdomServer(tmp_path_factory.mktemp("environments")) as server:
        yield server
