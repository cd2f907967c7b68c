"""`make hub` as a teacher types it, in a terminal, and ends it: with Ctrl+C."""

import contextlib
import fcntl
import os
import pty
import subprocess
import termios
import threading
import time
from pathlib import Path

import pytest

from tests.hub.conftest import answers, free_ports, processes, teachers_copy
from tests.hub.student import PATIENCE, Student
from tests.made import MAKE, add_make, set_up_already

PORTS = """
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{}"
c.JupyterHub.hub_port = {}
"""


class Terminal:
    """A terminal in which a command runs. ``text`` is what is to be read there."""

    def __init__(self, command: list[str], folder: Path) -> None:
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(theirs)
        self.text = ""
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # nobody writes there any more
            while part := os.read(self._ours, 4096):
                self.text += part.decode(errors="replace")

    def press(self, keys: bytes) -> None:
        os.write(self._ours, keys)


@pytest.fixture
def course(tmp_path):
    """The teacher's copy, as `make hub` sets it up, with two names and ports that are free."""
    folder = teachers_copy(tmp_path / "course")
    add_make(folder)
    set_up_already(folder, ".lab", ".hub")
    (folder / "data" / "hub").mkdir(parents=True)
    (folder / "data" / "hub" / "students.txt").write_text("teacher\nalice\n")
    port, *others = free_ports(3)
    configuration = folder / "docs" / "teaching" / "hub" / "jupyterhub_config.py"
    text = configuration.read_text(encoding="utf-8").replace("PORT = 8000", f"PORT = {port}")
    configuration.write_text(text + PORTS.format(*others), encoding="utf-8")
    return folder, f"http://127.0.0.1:{port}"


def test_make_hub_asks_who_comes_and_ctrl_c_leaves_nothing(course):
    folder, address = course
    terminal = Terminal([*MAKE, "hub"], folder)
    try:
        deadline = time.monotonic() + PATIENCE
        while not answers(address):
            assert terminal.process.poll() is None, terminal.text
            assert time.monotonic() < deadline, terminal.text
            time.sleep(0.1)
        assert "A trial: on this machine only" in terminal.text
        assert Student(address, "stranger").get("/").url.startswith(f"{address}/hub/login")
        alice = Student(address, "alice")
        assert alice.log_in("correct horse battery").ok
        alice.start_server()
        alice.kernel().run("1")
        terminal.press(b"\x03")
        terminal.process.wait(60)
        assert processes(folder) == []
        assert not answers(address)
        assert "Traceback" not in terminal.text
    finally:
        for process in processes(folder):
            process.kill()
