"""A JupyterHub on 127.0.0.1, with the teacher's configuration, for the tests and measurements."""

import contextlib
import os
import random
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import requests

from tests.conftest import ROOT
from tests.git import commit, git
from tests.hub.student import PATIENCE, Student

TRIAL = """
load_subconfig({configuration!r})
c.JupyterHub.bind_url = "http://127.0.0.1:{port}"
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{proxy}"
c.JupyterHub.hub_port = {hub}
# As the real hub has it.
c.JupyterHub.cleanup_servers = False
c.JupyterHub.cleanup_proxy = False
# A server asks its terminal whether it shall end, and nobody is there.
c.LocalProcessSpawner.interrupt_timeout = 1
# For a test that culls at once.
c.JupyterHub.services[0]["api_token"] = {token!r}
"""
"""The teacher's configuration as a trial, on ports that are free."""

CULLER = "the-cullers-own-token-in-the-tests"


def teachers_copy(folder: Path) -> Path:
    """Make the teacher's copy of the course, as a repository with a branch main."""
    for part in ("helpers", "notebooks", "docs/teaching", "data/mnist-sample"):
        ignore = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
        shutil.copytree(ROOT / part, folder / part, ignore=ignore)
    shutil.copy(ROOT / ".gitignore", folder)
    git(folder, "init", "--quiet", "--initial-branch=main")
    commit(folder, "The first edition")
    return folder


class Hub:
    """A hub over the teacher's copy ``course``, whose state is in ``folder``.

    ``names`` are the teacher and the students.
    """

    def __init__(self, folder: Path, course: Path, names: list[str]) -> None:
        self.folder = folder
        self.course = course
        (folder / "students.txt").write_text("\n".join(names))
        port, proxy, hub = free_ports(3)
        self.address = f"http://127.0.0.1:{port}"
        configuration = str(course / "docs" / "teaching" / "hub" / "jupyterhub_config.py")
        ports = {"port": port, "proxy": proxy, "hub": hub}
        text = TRIAL.format(configuration=configuration, token=CULLER, **ports)
        (folder / "config.py").write_text(text)
        self._process = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("JUPYTER")
        }
        command = [sys.executable, "-m", "jupyterhub", "--config", "config.py"]
        with (self.folder / "hub.log").open("a") as log:
            self._process = psutil.Popen(
                command,
                cwd=self.folder,
                env=environment | {"PYTHONPATH": str(self.course)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + PATIENCE
        while not answers(self.address):
            ended = self._process.poll() is not None or time.monotonic() > deadline
            assert not ended, self.log()
            time.sleep(0.1)

    def stop(self) -> None:
        """End the hub alone, as a restart does."""
        self._process.terminate()
        self._process.wait(PATIENCE)

    def log(self) -> str:
        return (self.folder / "hub.log").read_text()

    def student(self, name: str) -> Student:
        return Student(self.address, name)

    def processes(self, name: str | None = None) -> list[psutil.Process]:
        """All that was started for the hub, or what a student's server and kernels run in."""
        if name is None:
            return processes(self.folder)
        return processes(self.folder, str(self.folder / "homes" / name))

    def end(self) -> None:
        """End all of it."""
        left = self.processes()
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.terminate()
        _, left = psutil.wait_procs(left, timeout=20)
        for process in left:
            process.kill()


def answers(address: str) -> bool:
    """Whether a hub is there."""
    with contextlib.suppress(requests.RequestException):
        return requests.get(f"{address}/hub/health", timeout=5).ok
    return False


def processes(folder: Path, home: str | None = None) -> list[psutil.Process]:
    """Those that work in a folder or have their home there; with ``home``, those of that one."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            its = process.environ().get("HOME", "")
            if home:
                mine = its == home
            else:
                mine = any(place.startswith(str(folder)) for place in (its, process.cwd()))
            if mine:
                found.append(process)
    return found


def free_ports(number: int) -> list[int]:
    """Ports that nobody has, and that nobody is given who asks for any."""
    found = []
    for port in random.sample(range(20000, 32000), 1000):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            found.append(port)
        if len(found) == number:
            break
    return found


@pytest.fixture(scope="package")
def hub(tmp_path_factory):
    """A hub with a teacher and three students."""
    folder = tmp_path_factory.mktemp("hub")
    course = teachers_copy(tmp_path_factory.mktemp("teacher") / "course")
    hub = Hub(folder, course, ["teacher", "alice", "bob", "carol"])
    try:
        hub.start()
        yield hub
    finally:
        hub.end()
