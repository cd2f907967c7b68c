"""What torch's waiting threads cost when something else runs, and what other settings cost.

python tests/benchmarks/threads.py
"""

import os
import subprocess
import sys
import time

from machine import describe_machine
from table import compare, print_rows

from helpers.runtime import SETTINGS

SPIN = {name: value for name, value in SETTINGS.items() if "OMP" in name}
TRIED = {
    "torch's own settings": {},
    "OMP_WAIT_POLICY=PASSIVE": {"OMP_WAIT_POLICY": "PASSIVE"},
    f"PASSIVE, GOMP_SPINCOUNT={SPIN['GOMP_SPINCOUNT']}": SPIN,
    "these, MALLOC_... thresholds (make's)": SETTINGS,
    "OMP_NUM_THREADS=1": {"OMP_NUM_THREADS": "1"},
}
BUSY = [sys.executable, "-c", "while True: pass"]
CROWDS = {0: "alone", 1: "beside a busy process", 3: "beside three"}


def seconds_a_step():
    """Mean of 30 steps of the ConvNet on the embedded sample, in this process."""
    from step import Trainer

    from helpers.data import load_dataset, make_loader

    batches = list(make_loader(load_dataset().train))
    trainer = Trainer(channels_last=True, fused=True)
    trainer.train(batches[:10])
    start = time.perf_counter()
    trainer.train(batches[10:40])
    return (time.perf_counter() - start) / 30


def child(setting):
    """The same in a process of its own, with a setting that is read at its start."""
    names = {name for setting in TRIED.values() for name in setting}
    environment = {key: value for key, value in os.environ.items() if key not in names}
    command = [sys.executable, __file__, "--child"]
    done = subprocess.run(
        command, env=environment | setting, check=True, capture_output=True, text=True
    )
    return float(done.stdout)


def rows(runs=5):
    taken = {(crowd, name): [] for crowd in CROWDS for name in TRIED}
    for _ in range(runs):
        for crowd in CROWDS:
            others = [subprocess.Popen(BUSY) for _ in range(crowd)]
            try:
                for name, setting in TRIED.items():
                    taken[crowd, name].append(child(setting))
            finally:
                for other in others:
                    other.kill()
                    other.wait()
    own, *settings = TRIED
    for crowd, where in CROWDS.items():
        if crowd:
            yield compare(f"a step {where}, {own}", "alone", taken[crowd, own], taken[0, own])
        for name in settings:
            yield compare(f"a step {where}, {name}", own, taken[crowd, name], taken[crowd, own])


if __name__ == "__main__":
    if sys.argv[1:] == ["--child"]:
        print(seconds_a_step())
    else:
        print(describe_machine())
        print_rows(list(rows()))
