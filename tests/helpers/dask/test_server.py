"""Dask on this machine: what runs, who may come in, and that all of it ends."""

import asyncio
import os
import re
import signal
import subprocess
import sys

import cloudpickle
import psutil
import pytest
import requests
import torch
from distributed.comm import connect as knock

from helpers.dask import DaskServer, Sweep, connect
from tests.conftest import ROOT
from tests.helpers.conftest import process, wait_until

# A worker has the course but not its tests.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


def double(settings, data, writer):
    return {"twice": 2 * settings["n"]}


@pytest.fixture(scope="module")
def server():
    with DaskServer(2) as server:
        connect(server).close()  # its workers are there
        yield server


def left_in(folder):
    """What is left there, but for what torch 2.6 itself leaves where it was imported."""
    theirs = "_remote_module_non_scriptable.py"
    known = torch.__version__.startswith("2.6.")
    return [path for path in folder.iterdir() if not (known and (path / theirs).exists())]


def family(server):
    return [process(server), *process(server).children(recursive=True)]


def test_it_listens_on_this_machine_only(server):
    listening = [
        connection.laddr
        for member in family(server)
        for connection in member.net_connections()
        if connection.status == "LISTEN"
    ]
    assert {address.ip for address in listening} == {"127.0.0.1"}
    assert server.port in {address.port for address in listening}


def test_the_dashboard_is_its_page(server):
    assert server.url == f"http://127.0.0.1:{server.port}/status"
    page = requests.get(server.url)
    assert page.ok
    assert "Dask" in page.text
    assert f'<iframe src="{server.url}" title="Dask"' in server._repr_html_()


def test_nobody_comes_in_without_its_keys(server):
    assert server.scheduler.startswith("tls://127.0.0.1:")
    for address in (server.scheduler, server.scheduler.replace("tls", "tcp")):
        with pytest.raises((OSError, TypeError)):
            asyncio.run(knock(address, timeout=3))


def test_a_worker_has_one_thread_and_so_has_torch(server):
    client = connect(server)

    def threads():
        import torch

        return torch.get_num_threads(), os.environ["OMP_WAIT_POLICY"]

    assert list(client.nthreads().values()) == [1, 1]
    assert set(client.run(threads).values()) == {(1, "PASSIVE")}
    client.close()


def test_the_schedulers_process_never_loads_torch(server, tmp_path):
    client = connect(server)
    with Sweep(client, double, [{"n": 1}, {"n": 2}], None, tmp_path) as sweep:
        assert sorted(run.metrics["twice"] for run in sweep) == [2, 4]
    client.close()
    loaded = {entry.path for entry in process(server).memory_maps()}
    assert not [path for path in loaded if "torch" in path]


def test_behind_a_proxy_the_dashboard_knows_its_path(jupyter, behind_jupyter):
    with DaskServer(1) as server:
        path = f"/user/x/proxy/absolute/{server.port}"
        assert re.fullmatch(rf"{path}/token-[\w-]+/status", server.url)
        page = requests.get(jupyter + server.url)
        assert page.ok
        parts = re.findall(r'(?:src|href)="([^"]+\.(?:js|css)(?:\?[^"]*)?)"', page.text)
        assert any("bokeh.min.js" in part for part in parts)
        for part in parts:
            address = requests.compat.urljoin(jupyter + server.url, part)
            assert address.startswith(f"{jupyter}/user/x/proxy/absolute/{server.port}/"), part
            assert requests.get(address).ok, part
        connect(server).close()


def test_stop_ends_the_workers_and_leaves_no_file(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    server = DaskServer(1)
    connect(server).close()
    members = family(server)
    assert len(members) >= 2
    server.stop()
    _, alive = psutil.wait_procs(members, timeout=10)
    assert not alive
    assert left_in(tmp_path) == []


def test_all_of_it_ends_with_a_kernel_that_is_killed_in_the_middle_of_a_sweep(tmp_path):
    script = tmp_path / "kernel.py"
    script.write_text(
        """
import sys, time
from helpers.dask import DaskServer, Sweep, connect

def nap(settings, data, writer):
    time.sleep(600)
    return {}

server = DaskServer(2)
client = connect(server)
with Sweep(client, nap, [{"n": n} for n in range(8)], None, sys.argv[1]) as sweep:
    print(server._process.pid, flush=True)
    for _ in sweep:
        pass
"""
    )
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(scratch)}
    kernel = subprocess.Popen(
        [sys.executable, script, tmp_path / "out"],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    server = psutil.Process(int(kernel.stdout.readline()))
    members = [server, *server.children(recursive=True)]
    assert len(members) >= 3
    wait_until(lambda: list(scratch.rglob("events.out.*")), "no run has begun")
    kernel.send_signal(signal.SIGKILL)
    kernel.communicate()
    _, alive = psutil.wait_procs(members, timeout=20)
    assert not alive
    assert left_in(scratch) == []
