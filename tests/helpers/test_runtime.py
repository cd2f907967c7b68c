"""The settings of threads and memory: one home, which make, pytest and a shell read."""

import os
import subprocess
import sys

from helpers.runtime import SETTINGS
from tests.conftest import ROOT


def test_they_are_numbers_and_a_policy():
    assert SETTINGS["OMP_WAIT_POLICY"] == "PASSIVE"
    numbers = {name: int(value) for name, value in SETTINGS.items() if name != "OMP_WAIT_POLICY"}
    assert numbers["GOMP_SPINCOUNT"] == 3000  # measured: tests/benchmarks/README.md
    assert set(numbers) == {"GOMP_SPINCOUNT", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"}


def test_the_c_library_takes_the_largest_block_that_it_admits():
    """More than 32 MiB (DEFAULT_MMAP_THRESHOLD_MAX in its malloc.c) it would refuse, in silence."""
    assert int(SETTINGS["MALLOC_MMAP_THRESHOLD_"]) == 32 << 20
    assert int(SETTINGS["MALLOC_TRIM_THRESHOLD_"]) == 256 << 20


def test_make_hands_them_on_unless_the_environment_says_otherwise(tmp_path):
    (tmp_path / "Makefile").write_text("include Makefile\nshow:\n\t@env\n")
    plain = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    for environment in ({}, {"GOMP_SPINCOUNT": "7"}):
        shown = subprocess.run(
            ["make", "-s", "-f", tmp_path / "Makefile", "show"],
            cwd=ROOT,
            env=plain | environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()
        for name, value in (SETTINGS | environment).items():
            assert f"{name}={value}" in shown


def test_a_shell_takes_them_with_the_line_in_the_benchmarks_readme():
    (line,) = [
        line
        for line in (ROOT / "tests/benchmarks/README.md").read_text().splitlines()
        if line.startswith("export ")
    ]
    plain = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    shown = subprocess.run(
        ["sh", "-c", f"{line}; env"], cwd=ROOT, env=plain, capture_output=True, text=True
    ).stdout.splitlines()
    assert {f"{name}={value}" for name, value in SETTINGS.items()} <= set(shown)


def test_the_numbers_stand_nowhere_else():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    own = ("helpers/runtime.env", "tests/helpers/test_runtime.py", "tests/benchmarks/README.md")
    for name in listed.stdout.split("\0"):
        if name and name not in own and not name.endswith((".ipynb", ".png", ".gz", ".json")):
            text = (ROOT / name).read_text(encoding="utf-8", errors="replace")
            assert "3355443" + "2" not in text, name
            assert "GOMP_SPINCOUNT" + "=3" not in text, name


def in_a_process_without_them(script, **environment):
    """What a Python script prints that starts as conda and VS Code start a kernel."""
    names = {*SETTINGS, "OMP_NUM_THREADS"}
    plain = {name: value for name, value in os.environ.items() if name not in names}
    command = [sys.executable, "-c", script]
    done = subprocess.run(
        command, cwd=ROOT, env=plain | environment, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def test_they_are_set_before_torch_is_loaded_unless_the_environment_says_otherwise():
    show = "import os, helpers; print(*(os.environ.get(n) for n in ('OMP_WAIT_POLICY', {!r})))"
    show = show.format("GOMP_SPINCOUNT")
    assert in_a_process_without_them(show) == ["PASSIVE", SETTINGS["GOMP_SPINCOUNT"]]
    own = {"OMP_WAIT_POLICY": "ACTIVE"}
    assert in_a_process_without_them(show, **own) == ["ACTIVE", "None"]
    assert in_a_process_without_them(show, OMP_NUM_THREADS="4") == ["None", "None"]


SPIN = """
import time
import torch
torch.set_num_threads(2)
if {settled}:
    from helpers.chapter import check_parameters
    time.sleep(1)
numbers = torch.ones(1 << 16)
def work():
    for _ in range(40):
        numbers.sqrt()
        time.sleep(0.01)
work()
start = time.process_time()
work()
print(time.process_time() - start, torch.get_num_threads())
"""


def test_a_program_that_ends_at_once_ends_well():
    environment = {k: v for k, v in os.environ.items() if k not in SETTINGS}
    environment.pop("OMP_NUM_THREADS", None)
    command = [sys.executable, "-c", "import torch, helpers"]
    for _ in range(3):
        result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
        assert (result.returncode, result.stderr) == (0, "")


def test_after_torch_is_loaded_its_waiting_threads_rest():
    """In seconds of the processor, which don't depend on what else runs. GNU's OpenMP only."""
    spun, threads = map(float, in_a_process_without_them(SPIN.format(settled=False)))
    rested, same_threads = map(float, in_a_process_without_them(SPIN.format(settled=True)))
    assert threads == same_threads == 2
    if sys.platform == "linux" and (os.cpu_count() or 1) > 1:
        assert rested < spun / 4
