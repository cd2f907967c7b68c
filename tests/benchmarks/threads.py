"""What torch's waiting threads cost when something else runs, and what other settings cost.

python tests/benchmarks/threads.py
"""

import os
import subprocess
import sys
import time

from machine import describe_machine
from table import compare, print_rows

SETTINGS = {
    "threads that spin (torch's own way)": {},
    "OMP_WAIT_POLICY=PASSIVE (make's)": {"OMP_WAIT_POLICY": "PASSIVE"},
    "OMP_NUM_THREADS=1": {"OMP_NUM_THREADS": "1"},
}
BUSY = [sys.executable, "-c", "while True: pass"]


def seconds_a_step():
    """Median of 20 steps of the ConvNet, in this process."""
    import statistics

    import torch
    from step import Trainer

    batch = (torch.rand(128, 1, 28, 28), torch.randint(10, (128,)))
    trainer = Trainer(channels_last=True)
    taken = []
    for _ in range(25):
        start = time.perf_counter()
        trainer.train([batch])
        taken.append(time.perf_counter() - start)
    return statistics.median(taken[5:])


def child(setting):
    """The same in a process of its own, with a setting that is read at its start."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("OMP_")}
    command = [sys.executable, __file__, "--child"]
    done = subprocess.run(
        command, env=environment | setting, check=True, capture_output=True, text=True
    )
    return float(done.stdout)


def rows(runs=5):
    quiet = {name: [] for name in SETTINGS}
    crowded = {name: [] for name in SETTINGS}
    for _ in range(runs):
        for name, setting in SETTINGS.items():
            quiet[name].append(child(setting))
        other = subprocess.Popen(BUSY)
        try:
            for name, setting in SETTINGS.items():
                crowded[name].append(child(setting))
        finally:
            other.kill()
            other.wait()
    first, *others = SETTINGS
    yield compare(f"a step, {first}, beside a busy process", "alone", crowded[first], quiet[first])
    for name in others:
        yield compare(f"a step, {name}, alone", first, quiet[name], quiet[first])
        yield compare(
            f"a step, {name}, beside a busy process", first, crowded[name], crowded[first]
        )


if __name__ == "__main__":
    if sys.argv[1:] == ["--child"]:
        print(seconds_a_step())
    else:
        print(describe_machine())
        print_rows(list(rows()))
