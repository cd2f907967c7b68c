"""A Tornado application behind a guard: its handlers, and those of its websockets."""

import asyncio
import socket
import threading

import pytest
import requests
import tornado.web
from tornado.httpserver import HTTPServer

from helpers.pages.guard import Guard
from helpers.pages.guarded import guarded


class Hello(tornado.web.RequestHandler):
    def get(self):
        self.write("hello")

    post = delete = get


@pytest.fixture
def address():
    """Where an application of one page answers, behind a guard that knows no users."""
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    ends = []

    async def answer():
        end = asyncio.Event()
        ends.append((asyncio.get_running_loop(), end))
        guard = Guard(port, "/here", by_user=False)
        server = HTTPServer(guarded(tornado.web.Application, guard)([("/here/.*", Hello)]))
        listening.setblocking(False)
        server.add_sockets([listening])
        started.set()
        await end.wait()
        server.stop()

    started = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(answer()))
    thread.start()
    assert started.wait(20)
    yield f"http://127.0.0.1:{port}"
    loop, end = ends[0]
    loop.call_soon_threadsafe(end.set)
    thread.join()


def test_what_the_guard_lets_pass_is_answered(address):
    assert requests.get(f"{address}/here/").text == "hello"
    assert requests.get(f"{address}/here/", headers={"Origin": address}).text == "hello"


@pytest.mark.parametrize("method", ["get", "post", "delete", "put", "options"])
@pytest.mark.parametrize(
    ("path", "headers", "sentence"),
    [
        ("/here/", {"Origin": "http://evil.example"}, "has no business here"),
        ("/here/", {"Host": "evil.example"}, "isn't called"),
        ("/elsewhere", {}, "isn't the page's whole address"),
    ],
)
def test_what_it_refuses_gets_a_sentence_whatever_the_method(
    address, method, path, headers, sentence
):
    reply = requests.request(method, address + path, headers=headers)
    assert reply.status_code == 403
    assert sentence in reply.text
    assert "hello" not in reply.text
