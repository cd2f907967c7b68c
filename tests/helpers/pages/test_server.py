"""The servers, as a chapter starts, shows and stops them."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import requests

from helpers.pages import server as page_server
from helpers.pages.reach import Way
from helpers.tensorboard import TensorBoardServer
from helpers.visdom import ServerError, VisdomServer
from tests.conftest import ROOT
from tests.helpers.conftest import other_web_server, process


@pytest.fixture(params=["TensorBoardServer", "VisdomServer"])
def start(request, logdir, tmp_path):
    """A function that starts a server of either class; it is stopped after the test."""
    started = []

    def start(**options):
        if request.param == "TensorBoardServer":
            started.append(TensorBoardServer(logdir, **options))
        else:
            started.append(VisdomServer(tmp_path / "environments", **options))
        return started[-1]

    yield start
    for server in started:
        server.stop()


# ---- both servers ----


def test_it_answers_as_soon_as_it_is_there_and_on_this_machine_only(start):
    server = start()
    assert requests.get(server.url).ok
    listening = [c for c in process(server).net_connections() if c.status == "LISTEN"]
    assert {(c.laddr.ip, c.laddr.port) for c in listening} == {("127.0.0.1", server.port)}


def test_on_a_hub_its_address_holds_a_secret(start, monkeypatch):
    """Its students may be one user, whose connections the system can't tell apart."""
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/user/x/")
    server = start()
    path = f"/user/x/proxy/absolute/{server.port}/"
    secret = re.fullmatch(rf"{path}(token-[\w-]{{43}})/", server.url).group(1)
    at_its_port = f"http://127.0.0.1:{server.port}"
    assert requests.get(at_its_port + server.url).ok
    for guess in (path, path + "token-/", server.url.replace(secret, "token-" + 43 * "a")):
        assert requests.get(at_its_port + guess).status_code == 403
    assert secret not in repr(server)
    assert start().url.rpartition("token-")[2] != server.url.rpartition("token-")[2]


def test_stop_ends_the_process_and_frees_the_port_and_may_be_called_twice(start):
    server = start()
    running, port = process(server), server.port
    family = [running, *running.children(recursive=True)]
    server.stop()
    assert not running.is_running()
    _, alive = psutil.wait_procs(family, timeout=20)
    assert not alive
    socket.create_server(("127.0.0.1", port)).close()
    assert repr(server) == f"{type(server).__name__} stopped"
    assert "iframe" not in server._repr_html_()
    server.stop()


def test_leaving_a_block_stops_it_also_by_an_error(start):
    with pytest.raises(ZeroDivisionError), start() as server:
        assert server.is_running
        raise ZeroDivisionError
    assert not server.is_running


def test_two_run_side_by_side(start):
    first, second = start(), start()
    assert first.port != second.port
    first.stop()
    assert requests.get(second.url).ok


def test_the_page_is_shown_in_the_notebook_with_a_link(start):
    server = start()
    page = server._repr_html_()
    name = type(server).__name__.removesuffix("Server")
    assert f'<iframe src="{server.url}" title="{name}"' in page
    assert re.search(rf'<a href="{server.url}" target="_blank">[^<]*{name}', page)


def test_an_interrupted_cell_does_not_interrupt_it(start):
    server = start()
    assert os.getsid(process(server).pid) != os.getsid(0)


def test_a_server_that_died_is_known_to_be_dead(start):
    server = start()
    process(server).kill()
    server._process.wait()
    assert not server.is_running
    assert "stopped" in repr(server)
    server.stop()


def test_it_leaves_no_temporary_files(start, tmp_path, monkeypatch):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    start().stop()
    assert list(scratch.iterdir()) == []


def test_it_ends_with_a_kernel_that_is_killed(logdir, tmp_path):
    script = f"""
import sys, time
from helpers.tensorboard import TensorBoardServer
from helpers.visdom import VisdomServer
servers = [TensorBoardServer({str(logdir)!r}), VisdomServer({str(tmp_path / "environments")!r})]
print(*[server._process.pid for server in servers], flush=True)
time.sleep(600)
"""
    kernel = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    running = [psutil.Process(int(pid)) for pid in kernel.stdout.readline().split()]
    assert len(running) == 2
    running += [child for one in running for child in one.children(recursive=True)]
    kernel.send_signal(signal.SIGKILL)
    kernel.communicate()
    _, alive = psutil.wait_procs(running, timeout=20)
    assert not alive


def test_a_start_that_takes_for_ever_is_given_up(monkeypatch, start):
    monkeypatch.setattr(page_server, "START_TIMEOUT", 0.01)
    before = psutil.Process().children()
    with pytest.raises(ServerError, match="didn't start: it said nothing for 0 s"):
        start()
    assert psutil.Process().children() == before


def test_its_process_never_loads_torch(start):
    loaded = {Path(entry.path).name for entry in process(start()).memory_maps()}
    assert any(name.startswith("libc.") for name in loaded)
    assert not {name for name in loaded if "torch" in name}


def test_a_port_may_be_asked_for_and_is_handed_on(start):
    """A cell that asks for a port can be run again."""
    first = start()
    port = first.port
    first.stop()
    second = start(port=port)
    assert second.port == port
    third = start(port=port)
    assert third.port == port
    assert not second.is_running
    assert requests.get(third.url).ok


def test_a_port_that_something_else_has_is_named(start):
    with other_web_server() as port:
        with pytest.raises(ServerError, match=f"port {port}: .*in use. Leave out port="):
            start(port=port)
        assert requests.get(f"http://127.0.0.1:{port}/").text == "welcome"


def test_a_hint_is_shown_beside_the_page_and_nowhere_else(start, monkeypatch):
    monkeypatch.setattr(page_server, "find_way", lambda: Way(hint="forward <{port}>"))
    server = start()
    assert f"<p>forward &lt;{server.port}&gt;</p>" in server._repr_html_()
    assert "forward" not in repr(server) + server.url


def test_on_windows_too_an_interrupted_cell_does_not_interrupt_it(logdir, monkeypatch):
    """There the constant exists; here it is only seen to arrive."""
    seen = {}

    def popen(command, **options):
        seen.update(options)
        raise OSError("not today")

    monkeypatch.setattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 512, raising=False)
    monkeypatch.setattr(subprocess, "Popen", popen)
    with pytest.raises(OSError, match="not today"):
        TensorBoardServer(logdir)
    assert seen["creationflags"] == 512
