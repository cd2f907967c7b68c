"""Servers that the tests here meet, and how they are looked at."""

import http.server
import os
import re
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import psutil
import pytest
import requests
from tensorboardX import SummaryWriter


@pytest.fixture(scope="module")
def logdir(tmp_path_factory):
    """A folder with one event file, of one scalar."""
    folder = tmp_path_factory.mktemp("log")
    with SummaryWriter(str(folder)) as writer:
        writer.add_scalar("loss", 0.5, 1)
    return folder


def process(server):
    return psutil.Process(server._process.pid)


def wait_until(condition, what):
    for _ in range(300):
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError(what)


@contextmanager
def other_web_server():
    """A web server that isn't Visdom, and answers everything with 200 and some text; its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"welcome")

        do_GET = do_POST = answer

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


# ---- behind a Jupyter server with a base URL ----


@pytest.fixture(scope="module")
def jupyter(tmp_path_factory):
    """A Jupyter server with jupyter-server-proxy under /user/x/: its address."""
    home = tmp_path_factory.mktemp("jupyter")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root"]
    options = [
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0",
        "--ServerApp.base_url=/user/x/",
        "--IdentityProvider.token=",
        "--ServerApp.jpserver_extensions={'jupyter_server_proxy': True}",
    ]
    names = ("config", "data", "runtime")
    folders = {f"JUPYTER_{name.upper()}_DIR": str(home / name) for name in names}
    with (home / "log").open("w") as log:
        running = subprocess.Popen(
            [*command, *options], env=os.environ | folders, stdout=log, stderr=log, cwd=home
        )
        try:
            address = f"http://127.0.0.1:{port}"
            wait_until(lambda: answers(f"{address}/user/x/api"), (home / "log").read_text())
            yield address
        finally:
            running.terminate()
            running.wait(20)


def answers(address):
    try:
        return requests.get(address).ok
    except requests.ConnectionError:
        return False


@pytest.fixture
def behind_jupyter(monkeypatch):
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/user/x/")


# ---- Visdom ----


def links_of(page):
    page = re.sub("<!--.*?-->", "", page, flags=re.S)
    return re.findall(r'(?:src|href)=["\']?([^"\'\s>]+)', page)
