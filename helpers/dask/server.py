"""Dask's scheduler and workers on this machine, with Dask's dashboard as a page."""

import json
import socket
import tempfile
from pathlib import Path

from tornado.httpserver import HTTPServer

from helpers.pages.guard import Guard
from helpers.pages.guarded import guarded
from helpers.pages.process import ask, run
from helpers.pages.server import PageServer
from helpers.runtime import SETTINGS

TLS = (
    "tls_ca_file",
    "tls_client_cert",
    "tls_client_key",
    "tls_scheduler_cert",
    "tls_scheduler_key",
    "tls_worker_cert",
    "tls_worker_key",
)
"""The parts of a ``distributed.Security``, each a text."""


class DaskServer(PageServer):
    """Dask on this machine: a scheduler, and a worker process for each core.

    A worker does one thing at a time, with one torch thread. ``workers`` says how many there are,
    if not one a core. All of it listens on 127.0.0.1 only, on free ports, and a scheduler runs
    whatever code it is sent: so it lets in only who holds ``security``, keys that were made for
    it and are never written to a file. ``scheduler`` is its address; ``connect`` takes the
    server itself. ``url`` is the address of the dashboard, which answers its own user only.
    ``stop()``, or leaving a ``with`` block, ends everything; so does the kernel's end. As a
    cell's last line it shows the dashboard.

    Raises ServerError if it doesn't start.
    """

    script = Path(__file__)

    height = 620

    def __init__(self, workers: int | None = None) -> None:
        from dask.system import CPU_COUNT  # what a container or a batch system allows
        from distributed import Security

        self.security = Security.temporary()
        keys = {name: getattr(self.security, name) for name in TLS}
        self.workers = workers or CPU_COUNT
        super().__init__(0, workers=self.workers, security=keys)
        identity = ask(f"http://127.0.0.1:{self.port}{self._path}json/identity.json")
        self.scheduler = json.loads(identity)["address"]
        self.url += "status"


def serve(listening: socket.socket, guard: Guard, workers: int, security: dict[str, str]) -> None:
    """Start the scheduler, its dashboard and the workers."""
    import dask
    from distributed import LocalCluster, Security

    dask.config.set(
        {
            # The dashboard, and what it needs; not Dask's proxy to other machines.
            "distributed.scheduler.http.routes": [
                "distributed.http.scheduler.info",
                "distributed.http.scheduler.json",
                "distributed.http.statics",
            ],
            "temporary-directory": SCRATCH.name,
            # A worker is given a run when it is free, and not one more to wait for it.
            "distributed.scheduler.worker-saturation": 1.0,
            "distributed.nanny.pre-spawn-environ": SETTINGS | {"OMP_NUM_THREADS": "1"},
        }
    )
    cluster = LocalCluster(
        n_workers=0,
        threads_per_worker=1,
        host="127.0.0.1",
        security=Security(require_encryption=True, **security),
        dashboard_address="127.0.0.1:0",
        scheduler_kwargs={"http_prefix": guard.base or "/"},
        preload=["helpers.dask.sweep"],  # torch, while nobody waits for it
    )
    # Dask's own dashboard answers everybody: it is asked through the guard, and not at its port.
    cluster.scheduler.http_server.stop()
    dashboard = cluster.scheduler.http_application
    dashboard.__class__ = guarded(type(dashboard), guard)
    listening.setblocking(False)
    cluster.loop.add_callback(HTTPServer(dashboard).add_sockets, [listening])
    cluster.scale(workers)  # they come while the notebook goes on


def stop() -> None:
    """End the workers, and remove what they kept on disk."""
    import psutil

    workers = psutil.Process().children(recursive=True)
    for worker in workers:
        worker.kill()
    psutil.wait_procs(workers, timeout=5)
    SCRATCH.cleanup()


if __name__ == "__main__":  # in the server's own process
    SCRATCH = tempfile.TemporaryDirectory(prefix="dask-", ignore_cleanup_errors=True)
    run(serve, stop)
