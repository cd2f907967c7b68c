"""Run All twice in one kernel: a server is stopped when its variable holds another one."""

import textwrap

import psutil
import pytest
from jupyter_client.manager import start_new_kernel

from tests.conftest import ROOT
from tests.helpers.conftest import wait_until


@pytest.fixture(scope="module")
def kernel(logdir, tmp_path_factory):
    """A function that runs a cell in a real kernel, and returns what it prints."""
    manager, client = start_new_kernel(kernel_name="python3", cwd=str(ROOT))

    def run(cell):
        printed = []

        def hear(message):
            content = message["content"]
            printed.append(content.get("text", "") + content.get("evalue", ""))

        client.execute_interactive(textwrap.dedent(cell), timeout=120, output_hook=hear)
        return "".join(printed).strip()

    try:
        run(f"""
            from helpers.tensorboard import TensorBoardServer
            from helpers.visdom import VisdomServer
            log, environments = {str(logdir)!r}, {str(tmp_path_factory.mktemp("environments"))!r}
        """)
        run.pid = int(run("import os; print(os.getpid())"))
        yield run
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def servers(kernel):
    """Process ids of the servers that the kernel has running."""
    children = psutil.Process(kernel.pid).children()
    return {child.pid for child in children if child.status() != psutil.STATUS_ZOMBIE}


def alone(kernel, *expected):
    wait_until(lambda: servers(kernel) == set(expected), f"{servers(kernel)} isn't {expected}")


def started(kernel, cell, name):
    kernel(cell)
    return int(kernel(f"print({name}._process.pid)"))


def test_a_chapters_cell_run_again_leaves_one_server(kernel):
    """As chapters write it: the server is shown too, so that IPython's Out keeps it."""
    cell = "server = VisdomServer(environments, page=False)\nserver"
    first = started(kernel, cell, "server")
    alone(kernel, first)
    for _ in range(2):
        again = started(kernel, cell, "server")
        alone(kernel, again)
    kernel("print(server.client().check_connection())")
    assert kernel("del server") == ""
    alone(kernel)


def test_two_variables_keep_two_servers_and_a_list_all_of_its(kernel):
    a = started(kernel, "a = TensorBoardServer(log)\na", "a")
    b = started(kernel, "b = TensorBoardServer(log)\nb", "b")
    alone(kernel, a, b)
    kernel("c = a; a = None")  # one more name for the first
    kernel("all_of_them = [b]; b = {'b': b}; del b")
    alone(kernel, a, b)
    kernel("c = None")
    alone(kernel, b)
    kernel("del all_of_them")
    alone(kernel)


def test_what_no_variable_held_is_left_alone(kernel):
    pid = started(kernel, "def keep(s=TensorBoardServer(log)): return s", "keep()")
    kernel("1 + 1")
    alone(kernel, pid)
    kernel("keep().stop()")
    alone(kernel)


def test_a_block_ends_its_own_and_no_other(kernel):
    outer = started(kernel, "outer = TensorBoardServer(log)\nouter", "outer")
    kernel("with TensorBoardServer(log) as inner: pass")
    alone(kernel, outer)
    kernel("inner = outer = None")
    alone(kernel)


def test_a_cell_that_fails_stops_nothing_that_is_held(kernel):
    pid = started(kernel, "kept = TensorBoardServer(log)\nkept", "kept")
    assert "division" in kernel("kept; 1 / 0")
    alone(kernel, pid)
    kernel("kept = None")
    alone(kernel)


def test_a_certain_port_can_be_asked_for_again(kernel):
    kernel("ported = TensorBoardServer(log)")
    port = int(kernel("print(ported.port); ported = None"))
    for _ in range(2):
        pid = started(kernel, f"ported = TensorBoardServer(log, port={port})\nported", "ported")
        alone(kernel, pid)
    kernel("ported = None")
    alone(kernel)
