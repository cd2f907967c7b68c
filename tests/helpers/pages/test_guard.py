"""Whom a server answers: tried with other users, other pages, other names of this machine."""

import os
import subprocess
import sys
from functools import partial

import pytest
import requests
import websocket

from helpers.pages import server as page_server
from helpers.pages.guard import OUTSIDE, Guard, knows_users, user_of
from helpers.tensorboard import TensorBoardServer
from helpers.visdom import VisdomServer
from tests.helpers.conftest import process

HERE = ("127.0.0.1", 8097)
PEER = ("127.0.0.1", 50000)

TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:C350 0100007F:1FA1 01 00000000:00000000 00:00000000 00000000  1000 0 51145 1 0 20
"""
"""As Linux writes it: user 1000 at port 50000 is connected with port 8097."""


@pytest.fixture
def tables(tmp_path):
    (tmp_path / "tcp").write_text(TABLE)
    return tmp_path


@pytest.fixture(params=["tensorboard", "visdom"])
def start(request, logdir, tmp_path):
    """What starts a server of either class."""
    if request.param == "tensorboard":
        return partial(TensorBoardServer, logdir)
    return partial(VisdomServer, tmp_path / "environments")


# ---- users ----


def test_it_is_known_whose_a_connection_is():
    assert knows_users() == (sys.platform == "linux")


def test_a_connections_user_is_read_from_the_systems_table(tables):
    assert user_of(PEER, HERE, tables) == 1000
    assert user_of(HERE, PEER, tables) == OUTSIDE  # the same, seen from its other end
    assert user_of(("127.0.0.1", 50001), HERE, tables) is None
    assert user_of(("127.0.0.2", 50000), HERE, tables) is None
    assert user_of(PEER, HERE, tables / "elsewhere") is None


def test_a_connection_that_nobody_has_any_more_is_nobodys(tables):
    """Who sends and closes at once leaves a line with user 0 and no inode."""
    (tables / "tcp").write_text(TABLE.replace("1000 0 51145", "0 0 0"))
    assert user_of(PEER, HERE, tables) is None


def test_an_ipv6_socket_that_asks_an_ipv4_one_is_found(tables):
    (tables / "tcp").write_text(TABLE.splitlines()[0])
    mapped = TABLE.replace("0100007F", "0000000000000000FFFF00000100007F")
    (tables / "tcp6").write_text(mapped)
    assert user_of(PEER, HERE, tables) == 1000


def test_windows_has_no_numbers_of_users_and_none_is_asked_for(monkeypatch):
    monkeypatch.setattr("helpers.pages.guard.sys.platform", "win32")
    monkeypatch.delattr(os, "getuid")
    assert not knows_users()
    guard = Guard(8097, "/token-abc", by_user=knows_users())
    assert guard.refusal("/token-abc/", "127.0.0.1:8097", None, PEER) is None
    assert "whole address" in guard.refusal("/", "127.0.0.1:8097", None, PEER)


def test_only_the_own_user_and_root_are_answered(monkeypatch):
    guard = Guard(8097, "", by_user=True)
    monkeypatch.setattr(os, "getuid", lambda: 1000, raising=False)
    for user, answered in ((1000, True), (0, True), (OUTSIDE, True), (1001, False), (None, False)):
        monkeypatch.setattr("helpers.pages.guard.user_of", lambda *_, user=user: user)
        refusal = guard.refusal("/", "127.0.0.1:8097", None, PEER)
        assert (refusal is None) == answered, user


ASK = """
import socket, sys
family, address, port = (socket.AF_INET6, "::ffff:127.0.0.1", int(sys.argv[1]))
if sys.argv[2] == "4":
    family, address = socket.AF_INET, "127.0.0.1"
with socket.socket(family) as asking:
    asking.connect((address, port))
    lines = ("GET / HTTP/1.1", f"Host: 127.0.0.1:{port}", "Connection: close", "", "")
    asking.sendall("\\r\\n".join(lines).encode())
    print(asking.makefile(errors="replace").read(65536))
"""


def asked_by(user, port, family):
    """What a user of that id gets from a port. Only root can become another one."""
    python = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable
    become = {"user": user, "group": user, "extra_groups": []} if os.getuid() == 0 else {}
    command = [python, "-I", "-c", ASK, str(port), family]
    done = subprocess.run(command, capture_output=True, text=True, cwd="/", timeout=60, **become)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("family", ["4", "6"])
def test_another_user_of_the_machine_is_refused(start, family):
    """As root for real; an ordinary user can't become another one, and asks as himself."""
    with start() as server:
        answer = asked_by(65534, server.port, family)
        if os.getuid() == 0:
            assert answer.startswith("HTTP/1.1 403")
            assert answer.endswith("This page belongs to another user of this machine.\n")
        else:
            assert answer.startswith("HTTP/1.1 200")
        assert requests.get(server.url).ok


def test_where_the_system_doesnt_tell_users_apart_the_address_has_a_secret(start, monkeypatch):
    monkeypatch.setattr(page_server, "knows_users", lambda: False)
    with start() as server:
        root = f"http://127.0.0.1:{server.port}/"
        secret = server.url.removeprefix(root)
        assert secret.startswith("token-")
        assert len(secret) > 40
        assert requests.get(server.url).ok
        for wrong in ("", "env_state", "token-", secret[:-5], f"x{secret}"):
            reply = requests.get(root + wrong)
            assert reply.status_code == 403, wrong
            assert "Show the server in its notebook again" in reply.text
        assert secret in server._repr_html_()
        assert repr(server).endswith(f"at {root}")
        if isinstance(server, VisdomServer):
            client = server.client(env="secret")
            assert client.text("hello", win="note") == "note"
            assert client.socket_alive


def test_each_start_has_a_secret_of_its_own(logdir, monkeypatch):
    monkeypatch.setattr(page_server, "knows_users", lambda: False)
    with TensorBoardServer(logdir) as first, TensorBoardServer(logdir) as second:
        assert first.url.split("token-")[1] != second.url.split("token-")[1]


def test_the_secret_is_where_no_other_user_can_read_it(start, monkeypatch):
    monkeypatch.setattr(page_server, "knows_users", lambda: False)
    with start() as server:
        secret = server.url.split("token-")[1].strip("/")
        for one in [process(server), *process(server).children(recursive=True)]:
            assert secret not in " ".join(one.cmdline())
            assert secret not in " ".join(one.environ().values())


# ---- pages ----


@pytest.mark.parametrize(
    ("host", "answered"),
    [
        ("127.0.0.1:{port}", True),
        ("localhost:{port}", True),
        ("LOCALHOST", True),
        ("[::1]:{port}", True),
        ("localhost:9000", True),  # the near end of ssh -L 9000:localhost:8097
        ("evil.example:{port}", False),  # a name that was led here: DNS rebinding
        ("evil.example", False),
        ("127.0.0.1.evil.example:{port}", False),
        ("127.0.0.1:{port}@evil.example", False),
        ("evil.example:x", False),
    ],
)
def test_only_a_page_that_is_called_as_this_machine_is_answered(visdom, board, host, answered):
    for server in (visdom, board):
        reply = requests.get(server.url, headers={"Host": host.format(port=server.port)})
        assert reply.ok == answered
        assert answered or reply.status_code in (400, 403)


def test_an_empty_host_is_no_name_of_this_machine():
    assert Guard(8097, "", by_user=False).refusal("/", "", None, PEER)


@pytest.fixture(scope="module")
def visdom(tmp_path_factory):
    with VisdomServer(tmp_path_factory.mktemp("environments")) as server:
        server.client().text("private", win="note")
        yield server


@pytest.fixture(scope="module")
def board(logdir):
    with TensorBoardServer(logdir) as server:
        yield server


FOREIGN = ["http://evil.example", "http://localhost:{other}", "null", "https://127.0.0.1", ""]


@pytest.mark.parametrize("origin", FOREIGN)
def test_another_pages_requests_and_sockets_are_refused(visdom, board, origin):
    origin = origin.format(other=visdom.port + 1)
    for server in (visdom, board):
        assert requests.get(server.url, headers={"Origin": origin}).status_code == 403
    for what in ("events", "update", "close", "delete_env", "win_data", "env_state", "save"):
        data = '{"win": null, "eid": "main", "data": []}'
        reply = requests.post(visdom.url + what, data=data, headers={"Origin": origin})
        assert reply.status_code == 403, what
    address = f"ws://127.0.0.1:{visdom.port}/"
    for what in ("socket", "vis_socket"):
        with pytest.raises(websocket.WebSocketBadStatusException, match="403"):
            websocket.create_connection(address + what, timeout=20, origin=origin or "x")
    assert "private" in visdom.client().get_window_data("note")


def test_the_own_pages_requests_and_sockets_are_answered(visdom, board):
    for server in (visdom, board):
        own = server.url.rstrip("/")
        assert requests.get(server.url, headers={"Origin": own}).ok
    browser = websocket.create_connection(
        f"ws://127.0.0.1:{visdom.port}/socket", timeout=20, origin=visdom.url.rstrip("/")
    )
    assert "register" in browser.recv()
    browser.close()


def test_behind_jupyter_its_names_are_known_and_others_arent():
    guard = Guard(8097, "/user/x/proxy/absolute/{port}", by_user=False, proxied=True)
    page = "/user/x/proxy/absolute/8097/"
    assert guard.refusal(page, "hub.example", "https://hub.example", PEER) is None
    assert guard.refusal(page, "hub.example:8000", "http://hub.example:8000", PEER) is None
    assert guard.refusal(page, "127.0.0.1:8097", None, PEER) is None
    assert guard.refusal(page, "hub.example", "https://evil.example", PEER)
    assert guard.refusal(page, "evil.example:8097", "http://evil.example:8097", PEER)
    assert guard.refusal("/", "hub.example", None, PEER)
    assert guard.refusal("/user/x/proxy/absolute/80971/", "hub.example", None, PEER)


def test_without_a_browser_on_the_machine_names_say_nothing():
    guard = Guard(8097, "/token-abc", by_user=False, elsewhere=True)
    assert guard.refusal("/token-abc/", "x.example", "https://y.example", PEER) is None
    assert guard.refusal("/", "x.example", "https://y.example", PEER)


def test_behind_jupyter_a_foreign_page_gets_neither_answer_nor_socket(
    jupyter, behind_jupyter, tmp_path
):
    """With the proxy for real, which hands on Host and Origin."""
    with VisdomServer(tmp_path) as server:
        socket_address = jupyter.replace("http", "ws") + server.url + "socket"
        with pytest.raises(websocket.WebSocketBadStatusException, match="403"):
            websocket.create_connection(socket_address, timeout=20, origin="http://evil.example")
        post = partial(requests.post, f"{jupyter}{server.url}env_state", data="{}")
        assert post(headers={"Origin": "http://evil.example"}).status_code == 403
        assert post(headers={"Origin": jupyter}).json() == ["main"]
        websocket.create_connection(socket_address, timeout=20, origin=jupyter).close()
        # Straight at the port, past Jupyter.
        direct = f"http://127.0.0.1:{server.port}{server.url}"
        foreign = {"Host": f"evil.example:{server.port}"}
        assert requests.get(direct).ok
        assert requests.get(direct, headers=foreign).status_code == 403
