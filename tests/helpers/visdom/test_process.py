"""Visdom in a process of its own: its port, its page, its login, its files."""

import json
import shutil
import socket

import pytest
import requests
import websocket

from helpers.visdom import ServerError, VisdomServer
from helpers.visdom import server as server_module
from helpers.visdom.process import PROBE
from tests.helpers.conftest import links_of, other_web_server, process


def test_visdoms_page_and_all_its_parts_are_there(visdom):
    page = requests.get(visdom.url)
    assert page.ok
    parts = [link for link in links_of(page.text) if "/static/" in link]
    assert len(parts) >= 15
    for part in parts:
        reply = requests.get(requests.compat.urljoin(visdom.url, part))
        assert reply.ok, part
        assert reply.content or part.endswith("/user/style.css"), part


def test_it_writes_nothing_outside_its_folder(tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("TMPDIR", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home))
    with VisdomServer(tmp_path / "environments", login=("me", "secret")) as server:
        server.client().save(["main"])
    assert list(home.iterdir()) == []


def test_a_port_may_be_asked_for(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with VisdomServer(tmp_path, port=port) as server:
        assert server.port == port
        with pytest.raises(ServerError, match=f"port {port}.*A Visdom server.*leave out port="):
            VisdomServer(tmp_path, port=port)
        assert server.client().check_connection()


def test_a_port_that_another_web_server_has(tmp_path):
    with other_web_server() as port, pytest.raises(ServerError, match="Another web server"):
        VisdomServer(tmp_path, port=port)


def test_a_port_that_another_program_has(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ServerError, match=r"in use.*Another program"):
            VisdomServer(tmp_path, port=port)


def test_a_part_of_the_page_that_is_missing_or_empty(tmp_path, monkeypatch):
    broken = tmp_path / "page"
    shutil.copytree(server_module.page_folder(), broken)
    monkeypatch.setattr(server_module, "page_folder", lambda: broken)
    (broken / "js" / "jquery.min.js").write_bytes(b"")
    with pytest.raises(ServerError, match=r"jquery.*is empty"):
        VisdomServer(tmp_path / "environments")
    (broken / "js" / "jquery.min.js").unlink()
    with pytest.raises(ServerError, match=r"404 at .*jquery"):
        VisdomServer(tmp_path / "environments")


def test_with_a_login_others_are_kept_out(guarded):
    guarded.client().text("private", win="note")
    data = json.dumps({"win": None, "eid": "main"})
    for what in ("win_data", "win_exists", "save", "env_state", "events", "update"):
        reply = requests.post(guarded.url + what, data=data)
        assert reply.status_code in (400, 401), what
        assert "private" not in reply.text
    page = requests.get(guarded.url).text
    assert "inputPassword" in page
    assert "private" not in page
    address = guarded.url.replace("http", "ws")
    for what in ("socket", "vis_socket"):
        intruder = websocket.create_connection(address + what, timeout=20)
        assert intruder.recv() == ""  # closed at once
        intruder.close()


def test_the_password_is_where_no_other_user_can_read_it(guarded):
    family = [process(guarded), *process(guarded).children(recursive=True)]
    for one in family:
        assert "pass word" not in " ".join(one.cmdline())
        assert "pass word" not in " ".join(one.environ().values())
    assert "pass word" not in guarded._repr_html_() + repr(guarded)


def test_a_cookie_of_one_server_opens_no_other(guarded, tmp_path):
    client = guarded.client()
    user = {"username": client.username, "password": client.password}
    browser = requests.Session()
    assert browser.post(guarded.url, json=user).ok
    assert browser.post(guarded.url + "env_state", data="{}").ok
    with VisdomServer(tmp_path, login=("me", "pass word")) as other:
        assert browser.post(other.url + "env_state", data="{}").status_code in (400, 401)


def test_a_request_may_be_larger_than_100_megabytes(visdom):
    reply = requests.post(visdom.url + "win_exists", data=PROBE + " " * 110_000_000)
    assert (reply.status_code, reply.text) == (200, "false")


def test_environments_are_compared_in_the_servers_folder_and_not_in_the_users_home(
    tmp_path, monkeypatch
):
    home = tmp_path / "home"
    (home / ".visdom").mkdir(parents=True)
    (home / ".visdom" / "stranger.json").write_text('{"jsons": {}, "reload": {}}')
    monkeypatch.setenv("HOME", str(home))
    with VisdomServer(tmp_path / "environments") as server:
        client = server.client()
        for env in ("one", "other"):
            client.text("hello", win="greeting", env=env)
        page = requests.get(server.url + "compare/one+other")
    assert page.ok
    assert "stranger" not in page.text
    assert "other" in page.text
