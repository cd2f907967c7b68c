"""Visdom in a process of its own: its port, its page, its files."""

import shutil

import pytest
import requests

from helpers.visdom import ServerError, VisdomServer
from helpers.visdom import server as server_module
from helpers.visdom.process import PROBE
from tests.helpers.conftest import links_of


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
    with VisdomServer(tmp_path / "environments") as server:
        server.client().save(["main"])
    assert list(home.iterdir()) == []


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
