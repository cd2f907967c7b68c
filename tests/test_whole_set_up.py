"""What set-up files say is whole: each tool asked for, each package pinned, each stamp set."""

import configparser
import os
import re
import subprocess
import tomllib
from itertools import chain

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import ROOT
from tests.requirements import needed

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_each_program_that_a_target_calls_is_asked_for():
    """Or `make hooks`, which nobody runs here, would fail for who does."""
    called = set(
        re.findall(r"\$\(VENV\)/bin/([\w-]+)|\$\(PY\) -m ([\w.]+)|PATH\" ([\w-]+) ", MAKEFILE)
    )
    called = {next(filter(None, names)) for names in called}
    assert {"nbdime", "zizmor", "reuse", "pre-commit", "jupyterlab", "pytest"} <= called
    called = {name for name in called if "." not in name}  # the course's own modules
    extras = chain.from_iterable(PROJECT["optional-dependencies"].values())
    asked = {Requirement(text).name for text in [*PROJECT["dependencies"], *extras]}
    assert called - {"python", "pip"} <= asked


def test_everything_that_set_up_brings_is_pinned():
    """At whatever depth: a constraint that is missing lets another release in one day."""
    pinned = {
        canonicalize_name(line.split("==")[0])
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if "==" in line
    }
    names = needed(["seeing-pytorch[site,test]"]) - {"seeing-pytorch"}
    assert len(names) > 100
    assert names - pinned == set()


def test_ci_s_command_works_from_any_folder(tmp_path):
    (tmp_path / "make").write_text('#!/bin/sh\npwd; echo "$@"\n')
    (tmp_path / "make").chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    command = [ROOT / ".ci" / "run"]
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert run.stdout.splitlines() == [str(ROOT), "test"]


def test_each_stamp_is_set_when_its_rule_ends():
    """Or a second run of make would do it all again."""
    rules = re.findall(r"^(\$\(VENV\)/\.\w+):.*\n((?:\t.*\n)+)", MAKEFILE, re.M)
    assert len(rules) >= 6
    for stamp, recipe in rules:
        assert recipe.rstrip().endswith("@touch $@"), stamp


def test_each_step_that_takes_minutes_says_first_what_it_is():
    steps = re.findall(r"^(?:define set_up|\$\(VENV\)/\.\w+:.*)\n(.*)", MAKEFILE, re.M)
    assert len(steps) >= 8
    for first in steps:
        assert re.match(r'\t?@echo "(Setting up|Adding) .+"$|\t\$\(set_up\)$', first), first


def test_nbval_blanks_addresses_and_ports_only():
    settings = configparser.RawConfigParser()
    settings.read(ROOT / "tests" / "nbval.cfg")
    line = "Canvas at 0x7f0a11 on http://127.0.0.1:40123/ in 3 of 42 steps"
    for section in settings.sections():
        line = re.sub(settings[section]["regex"], settings[section]["replace"], line)
    assert len(settings.sections()) == 2
    assert line == "Canvas at 0x... on http://LOOPBACK/ in 3 of 42 steps"
