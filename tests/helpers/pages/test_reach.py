"""How a browser reaches a server, in surroundings that are made here or stood in for."""

import json
import os
import shlex
import socket
import subprocess
import sys
import types
from functools import partial

import pytest
import requests
import websocket
from jupyter_server import serverapp

from helpers.pages import reach
from helpers.pages.reach import Way, find_way
from helpers.tensorboard import TensorBoardServer
from helpers.visdom import VisdomServer
from tests.conftest import ROOT
from tests.helpers.conftest import wait_until

LOCAL = {"hostname": "localhost", "base_url": "/"}
FAR = {"hostname": "localhost", "base_url": "/lab1/"}
THROUGH_IT = "/lab1/proxy/absolute/{port}"


@pytest.fixture(autouse=True)
def nowhere_special(monkeypatch):
    for name in ("JUPYTERHUB_SERVICE_PREFIX", "SSH_CONNECTION", "JPY_PARENT_PID"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def listed(monkeypatch):
    """A function: makes these the running Jupyter servers, the parent's unless they say whose."""

    def make(*servers):
        servers = [{"pid": os.getppid()} | server for server in servers]
        monkeypatch.setattr(serverapp, "list_running_servers", lambda: servers)

    return make


@pytest.fixture
def without_proxy(monkeypatch):
    find = reach.importlib.util.find_spec
    monkeypatch.setattr(
        reach.importlib.util,
        "find_spec",
        lambda name: None if name == "jupyter_server_proxy" else find(name),
    )


@pytest.mark.parametrize(
    ("running", "prefix"),
    [
        (LOCAL, ""),
        (LOCAL | {"hostname": "127.0.0.1"}, ""),
        (FAR, THROUGH_IT),
        (LOCAL | {"hostname": "0.0.0.0"}, "/proxy/absolute/{port}"),
        (FAR | {"pid": -1}, ""),
    ],
)
def test_the_way_leads_through_the_jupyter_server_that_started_this_kernel(listed, running, prefix):
    listed(FAR | {"pid": -2, "base_url": "/another/"}, running)
    assert find_way() == Way(prefix)


def test_it_does_so_when_a_script_stands_between_them(listed, monkeypatch):
    listed(FAR | {"pid": 4711})
    assert find_way() == Way()
    monkeypatch.setenv("JPY_PARENT_PID", "4711")
    assert find_way().prefix == THROUGH_IT
    monkeypatch.setattr(sys, "platform", "win32")  # where it is the number of something else
    assert find_way().prefix == ""


def test_on_a_hub_the_environment_names_the_way(monkeypatch):
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/user/x/")
    assert find_way() == Way("/user/x/proxy/absolute/{port}", hub=True)


def test_without_the_proxy_the_reader_is_told_to_install_it(listed, without_proxy):
    listed(FAR)
    way = find_way()
    assert way.prefix == ""
    assert "Install jupyter-server-proxy where Jupyter runs" in way.hint


def test_jupyter_in_an_ssh_session_hands_on_its_ports(listed, monkeypatch):
    listed(LOCAL)
    monkeypatch.setenv("SSH_CONNECTION", "10.0.0.2 50000 10.0.0.1 22")
    assert find_way() == Way("/proxy/absolute/{port}")


def test_over_ssh_without_the_proxy_the_port_can_be_chosen_and_forwarded(
    listed, monkeypatch, without_proxy, logdir, tmp_path
):
    """What the hint says is what ssh and the servers take."""
    listed(LOCAL)
    monkeypatch.setenv("SSH_CONNECTION", "10.0.0.2 50000 10.0.0.1 22")
    for start in (partial(TensorBoardServer, logdir), partial(VisdomServer, tmp_path)):
        with start() as server:
            port = server.port
            page = server._repr_html_()
            assert f"ssh -L {port}:localhost:{port} MACHINE" in page
            assert f"started with port={port} keeps it" in page
        with start(port=port) as server:
            assert server.port == port
            # At the near end of the tunnel the browser asks for localhost, whatever the port.
            assert requests.get(server.url, headers={"Host": "localhost:6006"}).ok


@pytest.fixture
def colab(monkeypatch):
    """Stands in for Colab: its module, and a page that knows where its proxy hands on a port."""
    asked = []

    def eval_js(code, timeout_sec=None):
        asked.append(code)
        return "https://abc-def.colab.example/"

    package, module = types.ModuleType("google"), types.ModuleType("google.colab")
    module.output = types.SimpleNamespace(eval_js=eval_js)
    for name, value in {"google": package, "google.colab": module}.items():
        monkeypatch.setitem(sys.modules, name, value)
    return asked


def test_in_colab_the_page_is_asked_for_the_address(colab, logdir, tmp_path):
    for start in (partial(TensorBoardServer, logdir), partial(VisdomServer, tmp_path)):
        with start() as server:
            assert colab[-1] == f"google.colab.kernel.proxyPort({server.port})"
            assert server.url.startswith("https://abc-def.colab.example/")
            assert f'<iframe src="{server.url}"' in server._repr_html_()
            # As Colab's proxy asks, under whatever name.
            path = server.url.removeprefix("https://abc-def.colab.example")
            address = f"http://127.0.0.1:{server.port}{path}"
            names = {"Host": "abc-def.colab.example", "Origin": "https://colab.example"}
            assert requests.get(address, headers=names).ok
            if isinstance(server, VisdomServer):
                assert server.client().text("hello", win="note") == "note"


def test_a_colab_that_doesnt_answer_leaves_no_process(colab, logdir, monkeypatch):
    import psutil

    def broken(code, timeout_sec=None):
        raise TimeoutError("no page")

    monkeypatch.setattr(sys.modules["google.colab"].output, "eval_js", broken)
    before = psutil.Process().children()
    with pytest.raises(TimeoutError, match="no page"):
        TensorBoardServer(logdir)
    assert psutil.Process().children() == before


# ---- a Jupyter server with a base URL, and kernels that it starts in two ways ----


def test_a_kernel_finds_its_jupyter_server_through_a_script_too(tmp_path):
    """With a real server of one's own, asked by its API for kernels that start in two ways."""
    start = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    script = " ".join(map(shlex.quote, start[:-1])) + " '{connection_file}'; true"
    kernels = {"direct": start, "wrapped": ["sh", "-c", script]}
    for name, argv in kernels.items():
        (tmp_path / "data" / "kernels" / name).mkdir(parents=True)
        spec = {"argv": argv, "display_name": name, "language": "python"}
        (tmp_path / "data" / "kernels" / name / "kernel.json").write_text(json.dumps(spec))
    folders = {f"JUPYTER_{n.upper()}_DIR": str(tmp_path / n) for n in ("data", "runtime", "config")}
    command = [sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root"]
    with socket.socket() as probe:  # of port=0, jupyter_server 2.14 doesn't say what it became
        probe.bind(("127.0.0.1", 0))
        port = f"port={probe.getsockname()[1]}"
    options = ["ip=127.0.0.1", port, "base_url=/user/x/", "disable_check_xsrf=True"]
    running = subprocess.Popen(
        [*command, "--IdentityProvider.token=", *(f"--ServerApp.{one}" for one in options)],
        env=os.environ | folders | {"PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        info = tmp_path / "runtime" / f"jpserver-{running.pid}.json"
        wait_until(lambda: info.exists() and info.read_text().endswith("}"), "no Jupyter server")
        address = json.loads(info.read_text())["url"] + "api/kernels"
        code = "from helpers.pages.reach import find_way\nprint(find_way().prefix, end='')"
        for name in kernels:
            identity = requests.post(address, json={"name": name}).json()["id"]
            channel = websocket.create_connection(
                f"{address.replace('http', 'ws')}/{identity}/channels", timeout=60
            )
            assert run_code(channel, code) == "/user/x/proxy/absolute/{port}", name
            channel.close()
            requests.delete(f"{address}/{identity}")
    finally:
        running.terminate()
        running.wait(20)


def run_code(channel, code):
    """What a kernel prints, asked over its websocket."""
    header = {"msg_id": "1", "username": "", "session": "s", "msg_type": "execute_request"}
    content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False}
    message = {"header": header | {"version": "5.3"}, "parent_header": {}, "metadata": {}}
    channel.send(json.dumps(message | {"content": content, "channel": "shell", "buffers": []}))
    text = ""
    while True:
        reply = json.loads(channel.recv())
        if reply["parent_header"].get("msg_id") != "1":
            continue
        text += reply["content"].get("text", "") + reply["content"].get("evalue", "")
        if reply["content"].get("execution_state") == "idle":
            return text
