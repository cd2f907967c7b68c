"""What a server's own process does: it says its port or the reason, and ends with its parent."""

import json
import socket
import subprocess
import sys

import pytest

from helpers.pages.process import ask, listen
from tests.conftest import ROOT
from tests.helpers.conftest import other_web_server


def process(serve):
    script = f"from helpers.pages.process import run\n{serve}\nrun(serve)"
    return subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


SETTINGS = {"port": 0, "guard": {"base": "/at-{port}", "by_user": False}, "number": 41}


def test_it_tells_its_port_and_nothing_else_and_ends_when_its_input_closes():
    serve = "def serve(listening, guard, number):\n    print('noise', guard.base, number)"
    with process(serve) as running:
        running.stdin.write(json.dumps(SETTINGS) + "\n")
        running.stdin.flush()
        port = int(running.stdout.readline())
        socket.create_connection(("127.0.0.1", port)).close()
        assert running.poll() is None
        out, err = running.communicate(timeout=20)
    assert (running.returncode, out, err) == (0, "", f"noise /at-{port} 41\n")


def test_what_it_writes_is_for_its_user_only(tmp_path):
    serve = f"def serve(*_, number):\n    open({str(tmp_path / 'file')!r}, 'w').close()"
    with process(serve) as running:
        running.communicate(json.dumps(SETTINGS) + "\n", timeout=20)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600


def test_a_server_that_cant_serve_says_why():
    with process("def serve(*_, number):\n    raise SystemExit('no room')") as running:
        out, err = running.communicate(json.dumps(SETTINGS) + "\n", timeout=20)
    assert (running.returncode, out, err) == (1, "", "no room\n")


def test_a_port_that_cant_be_had_is_named():
    with listen(0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SystemExit, match=f"port {port}: .*in use.*Leave out port="):
            listen(port)
    with pytest.raises(SystemExit, match=r"port 70000: .*0-65535.*Leave out port="):
        listen(70000)


def test_what_it_asks_is_answered_or_named():
    with other_web_server() as port:
        assert ask(f"http://127.0.0.1:{port}/") == "welcome"
        assert ask(f"http://127.0.0.1:{port}/", "posted") == "welcome"
    with pytest.raises(SystemExit, match="it doesn't answer at"):
        ask(f"http://127.0.0.1:{port}/")


def test_no_proxy_is_asked(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with other_web_server() as port:
        assert ask(f"http://127.0.0.1:{port}/") == "welcome"
