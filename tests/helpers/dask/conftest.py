"""A cluster as it is on a cluster: a scheduler and workers that are commands of their own."""

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from helpers.dask import connect
from tests.conftest import ROOT

PATIENCE = 300
"""Seconds that a command may take to be there on a busy machine; nothing waits without need."""

DASK = [sys.executable, "-m", "dask"]

SETTINGS = {
    "OMP_NUM_THREADS": "1",
    "DASK_DISTRIBUTED__SCHEDULER__WORKER_SATURATION": "1.0",
    "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1",
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "60s",
}
"""For a run that kills its worker: given up after the second, and not the fourth."""


@contextmanager
def running(*command, cwd, paths=(ROOT,)):
    """A command in a folder of its own, which finds the course on ``paths``."""
    cwd.mkdir(exist_ok=True)
    places = {"PYTHONPATH": os.pathsep.join(map(str, paths)), "DASK_TEMPORARY_DIRECTORY": str(cwd)}
    environment = os.environ | SETTINGS | places
    with (cwd / "log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=cwd, env=environment, stdout=log, stderr=log, start_new_session=True
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def running_scheduler(folder):
    """A scheduler on a free port of 127.0.0.1: its address."""
    file = folder / "scheduler.json"
    options = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", file]
    with running(*DASK, "scheduler", *options, cwd=folder / "scheduler") as process:
        log = folder / "scheduler" / "log"
        for _ in range(10 * PATIENCE):
            if file.exists() and file.read_text().endswith("}"):
                break
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
        yield json.loads(file.read_text())["address"], process


def running_worker(address, folder, name, *options, paths=(ROOT,)):
    """A worker of that name, in a folder of that name."""
    command = [*DASK, "worker", address, "--name", name, "--host", "127.0.0.1", "--no-dashboard"]
    options = options or ("--nthreads", "1")
    return running(*command, *options, cwd=folder / name, paths=paths)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """A scheduler and two workers, in three folders that aren't the reader's: its address."""
    folder = tmp_path_factory.mktemp("cluster")
    with (
        running_scheduler(folder) as (address, _),
        running_worker(address, folder, "left"),
        running_worker(address, folder, "right"),
    ):
        yield address


@pytest.fixture
def client(cluster):
    """A client that has been let in, and that both workers are there for."""
    client = connect(cluster, patience=PATIENCE)
    client.wait_for_workers(2, timeout=PATIENCE)
    yield client
    client.close()
