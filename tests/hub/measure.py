"""What a class costs: a hub with eight students, of whom one, two and four run chapter 2 at once.

    make classroom

prints the tables of docs/teaching/hub/index.md. The students have a kernel each and no browser;
what a browser costs is on their own machines. On a machine that does other things as well, the
seconds say little and the ratios more; the processor's seconds say most.
"""

import os
import statistics
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import psutil

from tests.hub.conftest import Hub, teachers_copy
from tests.hub.student import Student

CHAPTER = "seeing-pytorch/notebooks/02_tensorboardx_training.ipynb"
STUDENTS = [f"student-{number}" for number in range(1, 9)]
AT_ONCE = (1, 2, 4)
CLASS = 30


class Run(NamedTuple):
    """One student's run of the chapter: seconds, the processor's seconds, bytes at the most."""

    seconds: float
    processor: float
    memory: int


def memory(hub: Hub, name: str) -> int:
    """Bytes that a student's processes hold; what they share with others, in equal parts."""
    total = 0
    for process in hub.processes(name):
        try:
            info = process.memory_full_info()
        except psutil.Error:
            continue
        total += getattr(info, "pss", info.uss)
    return total


def processor(hub: Hub, name: str) -> float:
    """Seconds that the processor has worked for a student's processes."""
    total = 0.0
    for process in hub.processes(name):
        try:
            total += sum(process.cpu_times()[:4])
        except psutil.Error:
            continue
    return total


def run_chapter(hub: Hub, student: Student) -> Run:
    """Run All in a new kernel, which is shut down afterwards."""
    most, done = [memory(hub, student.name)], threading.Event()

    def watch() -> None:
        while not done.wait(2):
            most[0] = max(most[0], memory(hub, student.name))

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        worked, began = processor(hub, student.name), time.monotonic()
        kernel = student.kernel("seeing-pytorch/notebooks")
        for cell in student.contents(CHAPTER)["cells"]:
            if cell["cell_type"] == "code":
                kernel.run(cell["source"])
        seconds = time.monotonic() - began
        worked = processor(hub, student.name) - worked
    finally:
        done.set()
        watching.join()
    kernel.shut_down()
    return Run(seconds, worked, most[0])


def measure(hub: Hub) -> None:
    """Print both tables."""
    students = [hub.student(name) for name in STUDENTS]
    began = time.monotonic()
    for student in students:
        student.log_in("a password of their own")
    for student in students:
        student.start_server()
        student.pull(f"/user/{student.name}/")
    print(f"{len(students)} students logged in: {time.monotonic() - began:.0f} s", file=sys.stderr)
    idle = statistics.mean(memory(hub, name) for name in STUDENTS)
    of_hub = sum(
        getattr(process.memory_full_info(), "pss", 0)
        for process in hub.processes()
        if not process.environ().get("HOME", "").startswith(str(hub.folder))
    )
    runs = {}
    with ThreadPoolExecutor(max(AT_ONCE)) as pool:
        for number in AT_ONCE:
            chosen = students[:number]
            runs[number] = list(pool.map(lambda one: run_chapter(hub, one), chosen))
            print(number, runs[number], file=sys.stderr)
    alone = runs[1][0]
    print("| at once | seconds until all are done | against one | processor seconds a student |")
    print("|---|---|---|---|")
    for number, several in runs.items():
        last = max(run.seconds for run in several)
        work = statistics.mean(run.processor for run in several)
        print(f"| {number} | {last:.0f} | {last / alone.seconds:.1f} | {work:.0f} |")
    print()
    busy = max(run.memory for several in runs.values() for run in several)
    work = statistics.mean(run.processor for several in runs.values() for run in several)
    print("| memory | GB |")
    print("|---|---|")
    print(f"| the hub and its proxy | {of_hub / 1e9:.2f} |")
    print(f"| a student who has logged in | {idle / 1e9:.2f} |")
    print(f"| a student with chapter 2 open and run, at the most | {busy / 1e9:.2f} |")
    print(f"| {CLASS} such students | {CLASS * busy / 1e9 + of_hub / 1e9:.0f} |")
    print()
    for cores in (4, 8, 16, 32):
        print(f"{CLASS} at once on {cores} cores: {CLASS * work / cores:.0f} s at the least")
    print(f"measured on {os.cpu_count()} cores")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="classroom-") as place:
        folder = Path(place).resolve()
        (folder / "hub").mkdir()
        hub = Hub(folder / "hub", teachers_copy(folder / "course"), ["teacher", *STUDENTS])
        try:
            hub.start()
            measure(hub)
        except BaseException:
            print(hub.log()[-5000:], file=sys.stderr)
            raise
        finally:
            hub.end()
