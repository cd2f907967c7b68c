"""What it costs that runs go through Dask: a run of a millisecond, and the chapter's own.

python tests/benchmarks/sweep.py
"""

import ast
import linecache
import os
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import cloudpickle
import nbformat
from machine import describe_machine
from table import Row, compare, print_rows

from helpers.dask import DaskServer, Sweep, connect
from helpers.dask.sweep import VERSIONS, _pack, train_one
from helpers.data import load_dataset

# A worker has the course but not its benchmarks.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

CHAPTER = Path(__file__).resolve().parents[2] / "notebooks" / "06_many_runs.ipynb"


def nap(settings, data, writer):
    """A training of a millisecond."""
    time.sleep(0.001)
    writer.add_scalar("loss", 1.0, 0)
    return {"loss": 1.0}


def sweep(client, train, runs, data=None):
    """Seconds, seconds of this process's processor, and the runs of a sweep."""
    with tempfile.TemporaryDirectory() as folder:
        wall, cpu = time.perf_counter(), time.process_time()
        with Sweep(client, train, runs, data, folder) as one:
            for _ in one:
                pass
        assert {run.status for run in one.finished} == {"done"}
        return time.perf_counter() - wall, time.process_time() - cpu, one.finished


def chapters_train():
    """The chapter's function, from the chapter."""
    cells = nbformat.read(CHAPTER, as_version=4).cells
    (source,) = (cell.source for cell in cells if cell.source.startswith("def train("))
    (imports,) = (cell.source for cell in cells if cell.source.startswith("import itertools"))
    first = ast.parse(source).body[0]
    function = "\n".join(source.splitlines()[: first.end_lineno])
    text = f"{imports}\n\n\n{function}\n"
    linecache.cache["<chapter 6>"] = len(text), None, text.splitlines(keepends=True), "<chapter 6>"
    names = {"__name__": "__main__"}  # so that it travels as code, as from a notebook
    exec(compile(text, "<chapter 6>", "exec"), names)
    return names["train"]


def short_rows(client, pairs=3):
    """Runs of a millisecond: their cost, and how it grows with their number."""
    counts = (250, 500, 1000, 2000)
    taken = {count: [] for count in counts}
    here = {count: [] for count in counts}
    sweep(client, nap, [{"n": n} for n in range(100)])
    for _ in range(pairs):
        for count in counts:
            wall, cpu, _ = sweep(client, nap, [{"n": n} for n in range(count)])
            taken[count].append(wall / count)
            here[count].append(cpu / count)
    for count in counts[1:]:
        what = f"a run of a millisecond, {count:,} of them"
        yield compare(what, "250 of them", taken[count], taken[250], "about 1")
        yield compare(f"{what}, CPU in the notebook", "250 of them", here[count], here[250])


def chapter_runs():
    return [
        {"learning_rate": 1e-3, "batch_size": size, "seed": seed, "epochs": 1}
        for size in (32, 128)
        for seed in range(4)
    ]


def long_rows(client, alone, pairs=3):
    """The chapter's trainings, on all the workers and on one."""
    train, data = chapters_train(), load_dataset()
    runs = chapter_runs()
    sweep(alone, train, runs[:1], data)
    sweep(client, train, runs[:2], data)
    one, many, shares = [], [], []
    workers = len(client.nthreads())
    for _ in range(pairs):
        one.append(sweep(alone, train, runs, data)[0])
        wall, _, finished = sweep(client, train, runs, data)
        many.append(wall)
        # Until a worker has nothing left to do: that the last runs end apart is no cost of Dask's.
        begin = min(run.started for run in finished)
        last = {run.worker: run.started + run.seconds for run in sorted_by_start(finished)}
        there = sum(end - begin for end in last.values())
        shares.append(1 - sum(run.seconds for run in finished) / there)
    yield compare("the chapter's runs on one worker", f"on {workers}", one, many, ">= 1.7")
    share = sorted(shares)[len(shares) // 2]
    yield Row("time of a worker between two runs", "its time", share, "< 0.05")


def plain_rows(pairs=3):
    """The same trainings in a pool of plain processes: what the machine itself allows."""
    train, packed, runs = chapters_train(), _pack(load_dataset()), chapter_runs()
    jobs = [cloudpickle.dumps(partial(train_one, train, packed, run, VERSIONS)) for run in runs]
    workers = os.cpu_count()
    with pool(1) as alone, pool(workers) as many:
        taken = {alone: [], many: []}
        for processes in taken:
            list(processes.map(call, jobs[:workers]))
        for _ in range(pairs):
            for processes, seconds in taken.items():
                begin = time.perf_counter()
                list(processes.map(call, jobs))
                seconds.append(time.perf_counter() - begin)
        what = "the same without Dask, in one process"
        yield compare(what, f"in {workers}", taken[alone], taken[many], "the machine's own")


def pool(processes):
    return ProcessPoolExecutor(processes, get_context("spawn"))


def call(pickled):
    cloudpickle.loads(pickled)()


def sorted_by_start(runs):
    return sorted(runs, key=lambda run: run.started)


def rows():
    with DaskServer() as server, DaskServer(1) as single:
        client, alone = connect(server), connect(single)
        yield from short_rows(client)
        yield from long_rows(client, alone)
        client.close()
        alone.close()
    yield from plain_rows()


if __name__ == "__main__":
    print(describe_machine())
    print_rows(list(rows()))
