"""The way to a Dask scheduler, and a look at its workers before anything is sent there."""

import asyncio
import functools
import sys
from concurrent.futures import ThreadPoolExecutor

import cloudpickle
from distributed import Client, Security, comm

from helpers.dask.server import DaskServer

PATIENCE = 10.0
"""Seconds that a scheduler may take to answer, and its first worker to be there."""

LOCAL_PATIENCE = 300.0
"""The same for a ``DaskServer``, whose workers are on their way, on a machine that may be busy."""


class ClusterError(RuntimeError):
    """A cluster can't be used or was lost; the message says why, and what to do."""


@functools.cache
def versions() -> dict[str, str]:
    """What has to be the same in this process and in a worker: Python, Dask, torch, the course.

    The course is a digest of the files that a run goes through, and not a number: who changed a
    file has another course. A part that is missing is "none".
    """
    import hashlib
    import importlib.metadata
    import importlib.util
    import sys
    from pathlib import Path

    found = {"Python": f"{sys.version_info.major}.{sys.version_info.minor}"}
    for package in ("distributed", "torch"):
        try:
            # 2.14.1+cpu and 2.14.1+cu130 are one version
            found[package] = importlib.metadata.version(package).split("+")[0]
        except importlib.metadata.PackageNotFoundError:
            found[package] = "none"
    spec = importlib.util.find_spec("helpers")
    try:
        folder = Path(next(iter(spec.submodule_search_locations)))
        files = ("data.py", "model.py", "dask/connect.py", "dask/sweep.py")
        digest = hashlib.sha256(b"".join((folder / file).read_bytes() for file in files))
        found["the course"] = digest.hexdigest()[:8]
    except (AttributeError, TypeError, StopIteration, OSError):
        found["the course"] = "none"
    return found


def connect(scheduler: DaskServer | str, patience: float = PATIENCE) -> Client:
    """A client of a ``DaskServer``, or of the scheduler at an address like "tcp://host:8786".

    Returns when a ``DaskServer`` has all its workers, another scheduler its first one, and every
    worker has been looked at: each must have
    the Python, the Dask, the torch and the course that are here, and one thread, since two
    trainings in one process would share torch's random state.

    Raises ClusterError if nothing answers or no worker comes within ``patience`` seconds, and if
    a worker can't be used; the message names it.
    """
    security, workers = None, 1
    if isinstance(scheduler, DaskServer):
        security, workers, patience = scheduler.security, scheduler.workers, LOCAL_PATIENCE
        scheduler = scheduler.scheduler
    try:
        # In a thread, since a notebook's own has an event loop already.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, _greet(scheduler, security, patience)).result()
        client = Client(scheduler, security=security, timeout=patience, set_as_default=False)
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ClusterError(
            f"no Dask scheduler answers at {scheduler} ({reason}). Start one there with: "
            'dask scheduler; or take "local", which needs none.'
        ) from None
    try:
        client.wait_for_workers(workers, timeout=patience)
        _look_at_workers(client)
    except TimeoutError:
        found = len(client.nthreads())
        client.close()
        raise ClusterError(
            f"the scheduler at {scheduler} has {found or 'no'} workers after {patience:g} s. Start "
            f"some, from the course's folder, with: dask worker {scheduler} --nthreads 1 "
            "--nworkers auto"
        ) from None
    except BaseException:
        client.close()
        raise
    return client


async def _greet(address: str, security: Security | None, patience: float) -> None:
    """Shake hands with a scheduler, in time: Client waits for ever for a server that isn't one."""
    arguments = (security or Security()).get_connection_args("client")
    hands = comm.connect(address, timeout=patience, **arguments)
    (await asyncio.wait_for(hands, patience + 1)).abort()


def _look_at_workers(client: Client) -> None:
    """Raise ClusterError naming each worker that can't be used, and why."""
    problems = []
    found = client.get_versions()["workers"]
    # What follows sends code, which only the same Python can read.
    same = [worker for worker, v in found.items() if _python(v) == versions()["Python"]]
    module = sys.modules[__name__]
    cloudpickle.register_pickle_by_value(module)  # a worker may have no course to import it from
    try:
        theirs = client.run(versions.__wrapped__, workers=same) if same else {}
    finally:
        cloudpickle.unregister_pickle_by_value(module)
    for worker, about in client.scheduler_info(n_workers=-1)["workers"].items():
        if worker not in found:
            continue  # it came a moment ago; each run looks again
        name = f"{about['name']} at {worker}" if about["name"] != worker else worker
        has = theirs.get(worker, {"Python": _python(found[worker])})
        for what, version in has.items():
            if version != versions()[what]:
                problems.append(f"{name} has {what} {version}, here it is {versions()[what]}")
        if about["nthreads"] != 1:
            problems.append(
                f"{name} has {about['nthreads']} threads, and trainings in threads of one "
                "process disturb each other: start it with --nthreads 1"
            )
    if problems:
        raise ClusterError(
            "these workers can't be used:\n- "
            + "\n- ".join(problems)
            + "\nGive them the packages of constraints.txt and the files of this course, or stop "
            "them; then connect again."
        )


def _python(versions: dict) -> str:
    """3.11 from what Dask knows of a worker."""
    return ".".join(versions["host"]["python"].split(".")[:2])
