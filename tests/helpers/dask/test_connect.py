"""Who is let in, who is refused, and what the refusal says."""

import re
import shlex
import shutil
import socket
import sys
import time
from pathlib import Path

import pytest

from helpers.dask import ClusterError, connect
from helpers.dask.connect import versions
from tests.conftest import ROOT
from tests.helpers.conftest import other_web_server, wait_until
from tests.helpers.dask.conftest import PATIENCE, running, running_scheduler, running_worker


def test_a_scheduler_that_is_not_there_is_named_in_a_sentence_and_in_seconds():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        address = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
    with pytest.raises(ClusterError, match=f"no Dask scheduler answers at {address} .*dask sch"):
        connect(address, patience=1)


def test_another_server_at_the_address_is_no_scheduler():
    with other_web_server() as port, pytest.raises(ClusterError, match="no Dask scheduler"):
        connect(f"tcp://127.0.0.1:{port}", patience=1)


@pytest.mark.parametrize("address", ["here", "tcp://", "tcp://127.0.0.1", "http://127.0.0.1:1"])
def test_what_is_no_address_is_no_scheduler(address):
    with pytest.raises(ClusterError, match=f"answers at {address} "):
        connect(address, patience=1)


def test_without_workers_the_message_is_the_command_that_starts_some(tmp_path):
    with running_scheduler(tmp_path) as (address, _):
        with pytest.raises(ClusterError, match="has no workers after 1 s") as refused:
            connect(address, patience=1)
        command = shlex.split(re.search(r"with: (dask worker .*)$", str(refused.value)).group(1))
        command[0] = str(Path(sys.executable).with_name(command[0]))  # in the environment
        with running(*command, "--no-dashboard", cwd=tmp_path / "worker"):
            client = connect(address, patience=PATIENCE)
            assert set(client.nthreads().values()) == {1}
            client.close()


def test_workers_that_are_not_like_the_others_are_refused_by_name(tmp_path):
    other_torch = tmp_path / "torch"
    (other_torch / "torch-2.9.0.dist-info").mkdir(parents=True)
    (other_torch / "torch-2.9.0.dist-info" / "METADATA").write_text("Name: torch\nVersion: 2.9.0\n")
    changed = tmp_path / "changed"
    shutil.copytree(ROOT / "helpers", changed / "helpers")
    model = changed / "helpers" / "model.py"
    model.write_text(model.read_text().replace("nn.AvgPool2d(2)", "nn.MaxPool2d(2)"))
    ours = versions()

    with running_scheduler(tmp_path) as (address, _):
        with (
            running_worker(address, tmp_path, "old", paths=(other_torch, ROOT)),
            running_worker(address, tmp_path, "edited", paths=(changed,)),
            running_worker(address, tmp_path, "wide", "--nthreads", "2"),
        ):
            message = ""
            for _ in range(60):
                with pytest.raises(ClusterError) as refused:
                    connect(address, patience=PATIENCE)
                message = str(refused.value)
                if all(name in message for name in ("old", "edited", "wide")):
                    break
                time.sleep(0.5)
        old, edited, wide = sorted(re.findall("^- (.*)$", message, re.M), key="oew".find)
        lines = {line.split()[0]: line for line in (old, edited, wide)}
        assert re.fullmatch(
            rf"old at tcp://127.0.0.1:\d+ has torch 2.9.0, here it is {ours['torch']}", lines["old"]
        )
        assert re.fullmatch(
            rf"edited at tcp://\S+ has the course \w{{8}}, here it is {ours['the course']}",
            lines["edited"],
        )
        assert re.fullmatch(r"wide at tcp://\S+ has 2 threads, .*--nthreads 1", lines["wide"])

        # The remedy: these are stopped, and one is started that has what is here.
        with running_worker(address, tmp_path, "good"):
            client = None
            for _ in range(60):
                try:
                    client = connect(address, patience=PATIENCE)
                    break
                except ClusterError as error:  # the three may still be leaving
                    assert "good" not in str(error)
                    time.sleep(0.5)
            workers = client.scheduler_info()["workers"].values()
            assert {worker["name"] for worker in workers} == {"good"}
            client.close()


def test_a_worker_without_the_course_is_refused(tmp_path, monkeypatch):
    """As one whose ``helpers`` is another package of that name."""
    (tmp_path / "helpers").mkdir()
    (tmp_path / "helpers" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("importlib.util.find_spec", find_spec_below(tmp_path))
    assert versions.__wrapped__()["the course"] == "none"


def find_spec_below(folder):
    from importlib.machinery import PathFinder

    return lambda name: PathFinder.find_spec(name, [str(folder)])


def test_builds_of_one_torch_are_one_version(monkeypatch):
    monkeypatch.setattr("importlib.metadata.version", lambda name: "2.14.1+cpu")
    assert versions.__wrapped__()["torch"] == "2.14.1"


def test_the_port_of_a_client_is_closed_when_it_is_refused(tmp_path):
    import psutil

    with running_scheduler(tmp_path) as (address, process):
        with pytest.raises(ClusterError):
            connect(address, patience=1)
        scheduler = psutil.Process(process.pid)
        wait_until(
            lambda: not [c for c in scheduler.net_connections() if c.status == "ESTABLISHED"],
            "the client is still connected",
        )
