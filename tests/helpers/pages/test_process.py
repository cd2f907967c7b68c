"""What a server's own process does: it says its port or the reason, and ends with its parent."""

import subprocess
import sys

import pytest

from helpers.pages.process import asker, free_port
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


def test_it_tells_its_port_and_nothing_else_and_ends_when_its_input_closes():
    serve = "def serve(number):\n    print('noise')\n    return number + 1"
    with process(serve) as running:
        running.stdin.write('{"number": 41}\n')
        running.stdin.flush()
        assert running.stdout.readline() == "42\n"
        assert running.poll() is None
        out, err = running.communicate(timeout=20)
    assert (running.returncode, out, err) == (0, "", "noise\n")


def test_a_server_that_cant_serve_says_why():
    with process("def serve():\n    raise SystemExit('no room')") as running:
        out, err = running.communicate("{}\n", timeout=20)
    assert (running.returncode, out, err) == (1, "", "no room\n")


def test_what_it_asks_is_answered_or_named():
    ask = asker()
    with other_web_server() as port:
        assert ask(f"http://127.0.0.1:{port}/") == "welcome"
        assert ask(f"http://127.0.0.1:{port}/", "posted") == "welcome"
    with pytest.raises(SystemExit, match="it doesn't answer at"):
        ask(f"http://127.0.0.1:{port}/")


def test_no_proxy_is_asked(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with other_web_server() as port:
        assert asker()(f"http://127.0.0.1:{port}/") == "welcome"


def test_free_ports_are_free():
    ports = {free_port() for _ in range(5)}
    assert all(1024 < port < 65536 for port in ports)
