"""A Visdom server as a chapter starts it: what is kept, and what is refused."""

import json
import subprocess
import sys

import pytest
import requests
import websocket

from helpers.visdom import AssetsError, ServerError, VisdomServer
from helpers.visdom import server as server_module
from tests.conftest import ROOT


def test_visdoms_socket_and_client_work_behind_the_proxy(jupyter, behind_jupyter, tmp_path):
    with VisdomServer(tmp_path) as server:
        client = server.client(env="far")
        client.text("hello", win="greeting")
        assert requests.get(f"{jupyter}{server.url}env/far").ok
        socket_address = jupyter.replace("http", "ws") + server.url + "socket"
        browser = websocket.create_connection(socket_address, timeout=20)
        session = json.loads(browser.recv())
        assert session["command"] == "register"
        requests.post(
            f"{jupyter}{server.url}env/far", data=json.dumps({"sid": session["data"]})
        ).raise_for_status()
        messages = [json.loads(browser.recv()) for _ in range(4)]
        browser.close()
        (window,) = [message for message in messages if message.get("command") == "window"]
        assert window["content"] == "hello"


def test_an_error_of_visdoms_shows_nothing_of_its_inside(tmp_path):
    with VisdomServer(tmp_path, page=False) as server:
        answer = requests.post(f"{server.url}events", data="{")
        assert answer.status_code == 500
        assert "Traceback" not in answer.text


def test_saved_windows_survive_a_restart_and_others_do_not(tmp_path):
    with VisdomServer(tmp_path) as server:
        client = server.client()
        for env in ("main", "kept", "lost"):
            client.text("hello", win="greeting", env=env)
        assert json.loads(client.save(["main", "kept"])) == ["main", "kept"]
    with VisdomServer(tmp_path) as server:
        client = server.client()
        assert sorted(client.get_env_list()) == ["kept", "main"]
        client.save(["kept", "main"])  # without a look at them: they mustn't be emptied
    with VisdomServer(tmp_path) as server:
        window = json.loads(server.client().get_window_data("greeting", env="kept"))
        assert window["content"] == "hello"


def test_clients_end_with_the_server(tmp_path):
    with VisdomServer(tmp_path) as server:
        client = server.client()
        assert client.socket_thread.is_alive()
    client.socket_thread.join(20)
    assert not client.socket_thread.is_alive()


def test_nothing_is_printed_when_a_server_comes_and_goes(tmp_path):
    script = f"""
import time
from helpers.visdom import VisdomServer
with VisdomServer({str(tmp_path)!r}) as server:
    client = server.client()
    client.text("hello")
time.sleep(4)  # when a client would try to connect again
"""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, cwd=ROOT
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_a_damaged_environment_is_named_before_it_is_lost(tmp_path):
    for content in ("", '{"jsons": {', "[]", '{"jsons": {}}'):
        (tmp_path / "main.json").write_text(content)
        with pytest.raises(ServerError, match=r"main\.json is damaged"):
            VisdomServer(tmp_path)
        assert (tmp_path / "main.json").read_text() == content


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "environments").touch()
    with pytest.raises(FileExistsError, match="environments"):
        VisdomServer(tmp_path / "environments")


def test_without_its_page_the_api_works(tmp_path, monkeypatch):
    def page_folder():
        raise AssetsError("can't be had")

    monkeypatch.setattr(server_module, "page_folder", page_folder)
    with pytest.raises(AssetsError):
        VisdomServer(tmp_path)
    with VisdomServer(tmp_path, page=False) as server:
        client = server.client()
        client.text("hello", win="greeting")
        assert client.win_exists("greeting")
        assert "without its page" in server._repr_html_()
