"""The list of packages, in its three places, says one thing."""

import shutil
import subprocess
import sys
import sysconfig
import tomllib
from importlib.metadata import distributions
from itertools import chain

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import ROOT


def pins():
    """The requirements in constraints.txt."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return [Requirement(line.partition("#")[0]) for line in lines if line.partition("#")[0].strip()]


def active_pins():
    """Those for this Python and system."""
    return [pin for pin in pins() if pin.marker is None or pin.marker.evaluate()]


def test_packages_agree_between_pyproject_environment_and_constraints():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())

    *conda, pip = environment["dependencies"]
    assert pip == {"pip": ["--constraint constraints.txt", "--editable .[site,test]"]}
    assert {"graphviz", "nodejs", "pip"} < set(conda)
    python = next(item for item in conda if item.startswith("python="))
    assert Requirement(f"python{project['requires-python']}").specifier.contains(
        python.removeprefix("python=")
    )

    extras = chain.from_iterable(project["optional-dependencies"].values())
    for text in [*project["dependencies"], *extras]:
        requirement = Requirement(text)
        own = [
            pin
            for pin in pins()
            if canonicalize_name(pin.name) == canonicalize_name(requirement.name)
        ]
        assert own, f"{requirement.name} isn't in constraints.txt"
        for pin in own:
            (exact,) = pin.specifier
            assert exact.operator == "=="
            assert requirement.specifier.contains(exact.version), f"{text} against {pin}"


def test_what_is_installed_is_in_the_constraints():
    """So that what CI ran is what everyone gets. An environment brings installers of its own."""
    pinned = {canonicalize_name(pin.name): pin.specifier for pin in active_pins()}
    # Not what setuptools, once imported, adds to the path for itself.
    found = distributions(path=[sysconfig.get_path("purelib")])
    installed = {canonicalize_name(package.name): package.version for package in found}
    for own in ("pip", "setuptools", "wheel", "seeing-pytorch"):
        installed.pop(own, None)
    unlisted = installed.keys() - pinned.keys()
    assert not unlisted, f"renew constraints.txt with make constraints: {sorted(unlisted)}"
    for name, version in installed.items():
        assert version in pinned[name], f"{name} {version} is installed, pinned{pinned[name]}"


def system_packages(tmp_path, *needs, **stubs):
    """Run .ci/system-packages where PATH holds only these stub commands and a plain shell's."""
    for name in ("sh", "uname", "mktemp", "rm", "tail", "cat"):
        (tmp_path / name).symlink_to(shutil.which(name))
    stubs = {"python3": f'exec "{sys.executable}" "$@"'} | stubs
    for name, script in stubs.items():
        stub = tmp_path / name.replace("_", "-")
        stub.write_text(f"#!/bin/sh\n{script}\n")
        stub.chmod(0o755)
    return subprocess.run(
        [ROOT / ".ci" / "system-packages", "python3", *needs],
        env={"PATH": str(tmp_path), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )


LOG_APT = 'echo "$@" >> "${0%/*}/apt.log"'


def test_nothing_missing_nothing_said(tmp_path):
    result = system_packages(tmp_path, "dot", dot="", apt_get=LOG_APT)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert not (tmp_path / "apt.log").exists()


def test_root_has_it_installed(tmp_path):
    result = system_packages(tmp_path, "dot", "cjk-font", id="echo 0", apt_get=LOG_APT)
    assert result.returncode == 0
    *_, install = (tmp_path / "apt.log").read_text().splitlines()
    assert install.split("recommends ")[1] == "graphviz fontconfig fonts-wqy-microhei"


def test_sudo_without_a_password_will_do(tmp_path):
    sudo = 'test "$1" = -n || exec "$@"'
    result = system_packages(tmp_path, "dot", id="echo 1000", sudo=sudo, apt_get=LOG_APT)
    assert result.returncode == 0
    assert "graphviz" in (tmp_path / "apt.log").read_text()


def test_without_the_right_it_stops_and_names_the_line(tmp_path):
    result = system_packages(tmp_path, "dot", id="echo 1000", sudo="exit 1", apt_get=LOG_APT)
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].strip() == (
        "sudo apt-get update && sudo apt-get install --yes --no-install-recommends graphviz"
    )
    assert not (tmp_path / "apt.log").exists()


def test_homebrew(tmp_path):
    result = system_packages(
        tmp_path, "dot", "npm", id="echo 501", brew='echo "$@" > "${0%/*}/brew.log"'
    )
    assert result.returncode == 0
    assert (tmp_path / "brew.log").read_text() == "install graphviz node\n"


def test_an_install_that_fails_says_so(tmp_path):
    result = system_packages(tmp_path, "dot", id="echo 0", apt_get="echo no such host; exit 100")
    assert result.returncode == 1
    assert "no such host" in result.stderr
    assert "apt-get install" in result.stderr


def test_another_system_is_told_what_is_missing(tmp_path):
    result = system_packages(tmp_path, "dot")
    assert result.returncode == 1
    assert "Missing: dot" in result.stderr


def test_a_python_that_is_too_old_or_absent(tmp_path):
    old = 'test "$1" = -V && echo Python 3.10.1; exit 1'
    result = system_packages(tmp_path, "dot", python3=old)
    assert result.returncode == 1
    assert "Python 3.10.1" in result.stderr
    assert "3.11, 3.12 or 3.13" in result.stderr


def test_make_help_lists_every_target_for_people():
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True).stdout
    assert {line.split()[1] for line in listed.splitlines()} >= {"lab", "test", "notebooks", "help"}
