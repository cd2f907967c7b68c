"""Visdom's environments: their names, and what is in their folder when it is full or read-only."""

import json
import os
import subprocess
import urllib.parse

import psutil
import pytest
import websocket
from tornado.web import HTTPError

from helpers.visdom import ServerError, VisdomServer
from helpers.visdom.environments import (
    SAVING,
    Environments,
    check_name,
    open_whole,
    refusal,
)
from tests.helpers.conftest import process

GOOD = ["main", "MyimagePlot", "rate-0.0002", "main-fork", "a b", "中文 名", "été", "7", "x" * 60]
BAD = [
    *("", " ", ".", "..", "a/b", "../a", "/a", "a\\b", "%2e%2e", "a%2fb", "a\0b", "a\nb", "a\n"),
    *("con", "NUL", "aux.1", "com1", "lpt9.x"),
    *("x" * 61, "x" * 300, "view", "View", "a.json", "a.", "a ", ".undo", "_a", "-a", "a+b", "a:b"),
    *(None, 7, ["a"], "a\u202eb", "a<b", "con?"),
]


@pytest.mark.parametrize("name", GOOD)
def test_a_name_that_keeps_to_the_rule(name):
    check_name(name)
    assert len(f"{name}.json{SAVING}xxxxxxxx".encode()) <= 255


@pytest.mark.parametrize("name", BAD, ids=ascii)
def test_a_name_that_breaks_the_rule_is_told_it_in_a_sentence(name):
    with pytest.raises(ValueError, match="an environment's name has 1 to 60 letters") as info:
        check_name(name)
    assert len(str(info.value)) < 280
    with pytest.raises(HTTPError) as refused:
        Environments()[name] = {}
    assert urllib.parse.unquote(refused.value.reason) == str(info.value)
    assert refused.value.reason.isascii()


def test_names_hold_whichever_way_they_come(visdom):
    client = visdom.client()
    before = client.get_env_list()
    for name in ("", "a/b", "..", "view", "x" * 300, "a\0b", "a.json"):
        with pytest.raises(ValueError, match="an environment's name"):
            visdom.client(env=name)
        for draw in (
            lambda name=name: client.text("x", env=name),
            lambda name=name: client.fork_env("main", name),
            lambda name=name: client.set_window_data("{}", win="w", env=name),
        ):
            with pytest.raises(ServerError, match=r"because .*: an environment's name has 1"):
                draw()
    assert client.get_env_list() == before


def test_names_that_keep_to_the_rule_come_back_as_they_were(tmp_path):
    with VisdomServer(tmp_path, page=False) as server:
        client = server.client()
        for name in GOOD:
            client.text(name, win="note", env=name)
        assert sorted(json.loads(client.save(GOOD))) == sorted(GOOD)
    with VisdomServer(tmp_path, page=False) as server:
        client = server.client()
        assert sorted(client.get_env_list()) == sorted(GOOD)
        for name in GOOD:
            assert json.loads(client.get_window_data("note", env=name))["content"] == name


def test_the_page_is_told_in_a_window_and_stays_connected(visdom):
    """Its "save as" goes over the socket."""
    page = websocket.create_connection(visdom.url.replace("http", "ws") + "socket", timeout=20)
    save = {"cmd": "save", "data": {}, "prev_eid": "main"}
    page.send(json.dumps(save | {"eid": "a/b"}))
    page.send(json.dumps(save | {"eid": "saved-by-the-page"}))
    shown = {}
    while shown.get("command") != "window":
        shown = json.loads(page.recv())
    assert shown["title"] == "Not done"
    assert "&#x27;a/b&#x27;: an environment&#x27;s name has" in shown["content"]
    assert "saved-by-the-page" in visdom.client().get_env_list()
    page.close()


def test_an_environment_that_was_never_saved_is_deleted_too(tmp_path):
    with VisdomServer(tmp_path, page=False) as server:
        client = server.client()
        client.text("x", env="unsaved")
        client.text("x", env="saved")
        client.save(["saved"])
        for name in ("unsaved", "saved"):
            client.delete_env(name)
        assert client.get_env_list() == ["main"]
    assert [path.name for path in tmp_path.glob("*.json")] == ["main.json"]


def test_only_their_user_can_read_them(tmp_path):
    with VisdomServer(tmp_path / "environments", page=False) as server:
        server.client().save(["main"])
    for path in [tmp_path / "environments", *(tmp_path / "environments").rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path


# ---- whole files or none ----


def test_a_file_is_written_whole_or_stays_as_it_was(tmp_path):
    path = tmp_path / "main.json"
    path.write_text("good")
    with pytest.raises(ZeroDivisionError), open_whole(path, "w") as file:
        file.write("half")
        assert path.read_text() == "good"
        raise ZeroDivisionError
    assert path.read_text() == "good"
    with open_whole(path, "w") as file:
        file.write("中")
    with open_whole(path) as file:
        assert path.read_text(encoding="utf-8") == "中"
    assert list(tmp_path.iterdir()) == [path]


def test_a_sentence_comes_through_http_as_it_was():
    sentence = "'/a/中文 <b>/100%' can't be written: No space left. \\ \n"
    reason = refusal(507, sentence).reason
    assert urllib.parse.unquote(reason) == sentence
    assert "<" not in reason
    assert reason.isprintable()


def test_what_a_killed_server_left_half_written_is_removed(tmp_path):
    (tmp_path / f"tmpabc{SAVING}").write_text("half")
    with VisdomServer(tmp_path, page=False) as server:
        assert server.client().get_env_list() == ["main"]
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["main.json"]


class Disk:
    """A folder on a disk of 2 MB. Who may not mount one gets a limit for each file of a server."""

    def __init__(self, folder):
        self.folder, self.server = folder, None
        folder.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder]
        self.mounted = subprocess.run(mount, capture_output=True).returncode == 0
        self.complaint = "No space left on device" if self.mounted else "File too large"

    def fill(self, server):
        """Leave room for half a megabyte."""
        if self.mounted:
            (self.folder / "filler").write_bytes(b"0" * 1_500_000)
        else:
            process(server).rlimit(psutil.RLIMIT_FSIZE, (500_000, psutil.RLIM_INFINITY))

    def clear(self, server):
        if self.mounted:
            (self.folder / "filler").unlink()
        else:
            limit = (psutil.RLIM_INFINITY, psutil.RLIM_INFINITY)
            process(server).rlimit(psutil.RLIMIT_FSIZE, limit)

    def close(self):
        if self.mounted:
            subprocess.run(["umount", "--lazy", self.folder], check=True)


@pytest.fixture
def small_disk(tmp_path):
    disk = Disk(tmp_path / "磁盘 disk")
    yield disk
    disk.close()


def test_a_full_disk_is_named_and_takes_nothing_that_was_saved(small_disk):
    folder = small_disk.folder / "environments"
    with VisdomServer(folder, page=False) as server:
        client = server.client()
        client.text("good", win="note", env="kept")
        client.save(["kept"])
        saved = (folder / "kept.json").read_bytes()
        small_disk.fill(server)
        client.text("x" * 1_000_000, win="large", env="kept")
        for save in (lambda: client.save(["kept"]), lambda: client.fork_env("kept", "other")):
            with pytest.raises(ServerError) as info:
                save()
            message = str(info.value)
            assert f"can't be written in {folder}: {small_disk.complaint}." in message
            assert "What was saved there before is still there" in message
            assert "login" not in message
        assert (folder / "kept.json").read_bytes() == saved
        assert not list(folder.glob(f"*{SAVING}"))
        # The page's own "save" goes over the socket.
        page = websocket.create_connection(server.url.replace("http", "ws") + "socket", timeout=20)
        page.send(json.dumps({"cmd": "save", "data": {}, "prev_eid": "kept", "eid": "kept"}))
        shown = {}
        while shown.get("command") != "window":
            shown = json.loads(page.recv())
        assert small_disk.complaint in shown["content"]
        page.close()
        # The remedy: make room, and save again.
        small_disk.clear(server)
        assert json.loads(client.save(["kept"])) == ["kept"]
    with VisdomServer(folder, page=False) as server:
        client = server.client()
        assert json.loads(client.get_window_data("note", env="kept"))["content"] == "good"
        assert client.win_exists("large", env="kept")


def test_a_server_that_finds_no_room_says_so(small_disk):
    folder = small_disk.folder / "environments"
    folder.mkdir()
    if small_disk.mounted:
        with open(small_disk.folder / "filler", "wb", 0) as filler, pytest.raises(OSError):
            while filler.write(b"0" * 4096):
                pass
    else:
        folder.chmod(0o500)
    with pytest.raises(ServerError, match=r"didn't start: .*(No space left|Permission denied)"):
        VisdomServer(folder, page=False)


def test_a_folder_that_cant_be_written_is_named(tmp_path):
    """A folder where the file should be: no user, root included, can write over it."""
    with VisdomServer(tmp_path, page=False) as server:
        client = server.client()
        client.text("x", env="blocked")
        (tmp_path / "blocked.json" / "inside").mkdir(parents=True)
        with pytest.raises(ServerError, match=r"blocked\.json can't be written in .*irectory"):
            client.save(["blocked"])
        assert json.loads(client.save(["main"])) == ["main"]
        os.rmdir(tmp_path / "blocked.json" / "inside")
