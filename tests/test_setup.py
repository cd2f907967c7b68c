"""The list of packages, in its three places, says one thing."""

import ast
import os
import re
import runpy
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from importlib.metadata import distributions, packages_distributions
from itertools import chain

import nbformat
import pytest
import yaml
from nbval.plugin import get_sanitize_patterns
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from helpers.runtime import read_env
from helpers.visdom import page
from tests.arithmetic import ROUNDED_ALIKE
from tests.conftest import CHAPTERS, ROOT


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
    index = runpy.run_path(str(ROOT / ".ci" / "torch_build.py"))["INDEX"]
    cpu = f"--extra-index-url {index}"
    assert pip == {"pip": [cpu, "--constraint constraints.txt", "--editable ."]}
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


def test_conda_gets_a_python_whose_visdom_builds():
    """Visdom 0.2, for Python 3.11, builds with an older setuptools only, which pip wouldn't use."""
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    (python,) = (item for item in environment["dependencies"] if str(item).startswith("python="))
    there = {"python_version": python.removeprefix("python=")}
    (visdom,) = (pin for pin in pins() if pin.name == "visdom" and pin.marker.evaluate(there))
    (exact,) = visdom.specifier
    assert Version(exact.version) >= Version("0.3")
    assert environment["name"] == "seeing-pytorch"  # as the README activates it
    assert environment["channels"] == ["conda-forge"]


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_only_releases_that_are_known_are_allowed():
    """What is adapted release by release has an upper bound: the next may be another."""
    allowed = {Requirement(text).name: Requirement(text).specifier for text in dependencies()}
    assert [str(version) for version in allowed["hiddenlayer"]] == ["==0.3"]
    releases = [Version(f"{release}.4") for release in page.PACKAGES]
    assert all(release in allowed["visdom"] for release in releases)
    newest = max(releases)
    assert Version(f"{newest.major}.{newest.minor + 1}") not in allowed["visdom"]
    assert Version(f"{newest.major + 1}.0") not in allowed["visdom"]
    python = Requirement(f"python{project()['project']['requires-python']}").specifier
    assert [f"3.{minor}" in python for minor in range(10, 16)] == [False, *[True] * 3, *[False] * 2]


def dependencies():
    own = project()["project"]
    return [*own["dependencies"], *own["optional-dependencies"]["test"]]


def imported(*folders):
    """The names of the packages that Python files and chapters import."""
    names = set()
    for path in chain.from_iterable((ROOT / folder).rglob("*.*") for folder in folders):
        if path.suffix == ".py":
            sources = [path.read_text(encoding="utf-8")]
        elif path.suffix == ".ipynb":
            cells = nbformat.read(path, as_version=4).cells
            sources = [cell.source for cell in cells if cell.cell_type == "code"]
        else:
            continue
        for node in ast.walk(ast.parse("\n".join(sources))):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.add(node.module.partition(".")[0])
    return names - set(sys.stdlib_module_names) - {"helpers", "tests"}


def declared(texts):
    return {canonicalize_name(Requirement(text).name) for text in texts}


def brought_by(names):
    """The packages that bring these modules."""
    known = packages_distributions()
    return {canonicalize_name(known[name][0]) for name in names if name in known}


PROGRAMS = {"jupyterlab", "ipython", "papermill"}
"""What the course needs without importing it."""

TEST_PROGRAMS = {"jupyter-server-proxy", "mypy", "nbconvert", "pytest-timeout", "ruff"}


def test_what_the_course_imports_it_also_installs():
    needed = brought_by(imported("helpers", "notebooks")) | PROGRAMS
    assert needed <= declared(project()["project"]["dependencies"])


def test_what_the_tests_import_they_also_install():
    needed = brought_by(imported("tests")) | TEST_PROGRAMS
    bench = project()["project"]["optional-dependencies"]["bench"]
    assert needed <= declared([*dependencies(), *bench])


def test_every_folder_of_helpers_is_installed():
    tool = project()["tool"]["setuptools"]
    folders = [path.parent for path in (ROOT / "helpers").rglob("__init__.py")]
    names = {".".join(folder.relative_to(ROOT).parts) for folder in folders}
    assert set(tool["packages"]) == names
    data = {p for p in (ROOT / "helpers").rglob("*.*") if p.suffix not in (".py", ".pyc")}
    for path in data:
        package = ".".join(path.parent.relative_to(ROOT).parts)
        assert f"*{path.suffix}" in tool["package-data"][package], path


def dry_run(target):
    """What make would run, without setting anything up."""
    command = ["make", "--dry-run", "--old-file=.venv/.test", "--old-file=.venv/.lab"]
    command += ["LAB_ARGS=--ip=0.0.0.0", target]
    environment = {name: value for name, value in os.environ.items() if name != "PYTEST_ARGS"}
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout.replace("\\\n", " ")


def test_make_test_checks_the_style_the_tests_and_the_stored_pages():
    lines = [" ".join(line.split()) for line in dry_run("test").splitlines()]

    def runs(*words):
        return any(all(word in line.split() for word in words) for line in lines)

    assert runs("ruff", "check", ".")
    assert runs("ruff", "format", "--check", ".")
    assert any(line.endswith("python -m pytest") for line in lines)
    assert runs(
        "pytest",
        "--nbval",
        "--nbval-sanitize-with",
        "tests/nbval.cfg",
        "--nbval-cell-timeout",
        "-p",
        "tests.records.stored",
        "--nbval-kernel-name",
        "python3",
        "notebooks",
    )
    assert not any("--nbval-lax" in line for line in lines)


def test_ci_runs_make_test():
    script = (ROOT / ".ci" / "run").read_text().splitlines()
    assert script[0] == "#!/usr/bin/env bash"
    assert "set -euo pipefail" in script
    assert script[-1] == "make test"


def test_nbval_blanks_addresses_and_ports_and_nothing_else():
    text = (
        "89.6% of all 2,000 images, step 315 of 315, rate 3e-04, (64, 128), run-1\n"
        "<graphviz.graphs.Digraph at 0x7f3a00ff12b0> TensorBoardServer at http://127.0.0.1:40117/"
    )
    for pattern, replacement in get_sanitize_patterns((ROOT / "tests" / "nbval.cfg").read_text()):
        text = re.sub(pattern, replacement, text)
    assert text == (
        "89.6% of all 2,000 images, step 315 of 315, rate 3e-04, (64, 128), run-1\n"
        "<graphviz.graphs.Digraph at 0x...> TensorBoardServer at http://LOOPBACK/"
    )


TARGETS = {
    "lab": ["jupyterlab", "default_url=/lab/tree/notebooks", "--allow-root", "--ip=0.0.0.0"],
    "bundle": ["Name a folder: make bundle BUNDLE=", ".ci/bundle.py write"],
    "update": ["-m helpers.update"],
    "hub": ["mkdir -p data/hub && cd data/hub", "-m jupyterhub --config", "jupyterhub_config.py"],
    "test": ["ruff", "pytest", "--nbval"],
    "lint": ["ruff check", "ruff format --check", "reuse lint", ".ci/actionlint.py", "zizmor"],
    "unit": ["-m pytest"],
    "browser": ["pytest tests/browser"],
    "nbval": ["--nbval", "notebooks"],
    "notebooks": ["tests/run_notebooks.py", "RENEW_RECORDS=1"],
    "records": ["RENEW_RECORDS=1", "test_records.py", "test_prose.py", "test_illnesses.py"],
    "mutants": ["tests/mutants.py"],
    "screenshots": ["PICTURES=", "/notebooks/images", "pytest tests/browser"],
    "clinic": ["tests/arithmetic.env", "data/build_clinic.py"],
    "front": ["PYTHONPATH=", "docs/front.py"],
    "site": ["PYTHONPATH=", "docs/build.py"],
    "slides": ["PYTHONPATH=", "docs/slides.py"],
    "student": ["docs/student.py"],
    "test-newest": [".ci/system-packages", ".ci/releases.py newest"],
    "test-lowest": [".ci/system-packages", ".ci/releases.py lowest"],
    "test-offline": ["tests/offline.py"],
    "zoo": ["pytest tests/zoo"],
    "bench": ["tests/benchmarks/run.py"],
    "classroom": ["PYTHONPATH=", "tests.hub.measure"],
    "constraints": [
        "+cpu",
        "make constraints TORCH=cuda",
        "--upgrade-strategy eager",
        "'setuptools<82'",
        "--editable '.[bench,dev,hub,site,test,zoo]'",
        "# The versions that CI ran.",
        "freeze --all --exclude-editable",
        '; python_version < "3.12"',
        '/a visdom==0.3.0; python_version >= "3.12"',
        '/a openTSNE==1.0.4; python_version >= "3.12"',
        "mv constraints.new constraints.txt",
    ],
    "hooks": ["pre-commit install", "nbdime config-git --enable"],
    "clean": ["rm -rf .venv", ".venv-lowest", "data/outputs", ".ruff_cache"],
}


@pytest.mark.parametrize("target", TARGETS)
def test_each_target_does_what_its_line_in_help_says(target):
    commands = dry_run(target)
    for phrase in TARGETS[target]:
        assert phrase in commands


def test_help_lists_each_target():
    printed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True).stdout
    assert {line.split()[1] for line in printed.splitlines()} == TARGETS.keys() | {"help"}


@pytest.mark.parametrize(
    ("stamp", "extras", "then"),
    [
        ("hub", "hub", "docs/teaching/hub/proxy.py"),
        ("site", "site", "docs/assets.py"),
        ("dev", "dev,site,test", "touch"),
        ("zoo", "test,zoo", "touch"),
    ],
)
def test_what_a_target_needs_besides_is_added(stamp, extras, then):
    commands = make(f"/nonexistent/.{stamp}")
    wanted = [
        "touch /nonexistent/.lab",
        f"--constraint constraints.txt --no-build-isolation --editable '.[{extras}]'",
        then,
        f"touch /nonexistent/.{stamp}",
    ]
    assert all(phrase in commands for phrase in wanted)
    assert commands.rindex(wanted[1]) < commands.rindex(then)


def test_the_package_shows_the_readme():
    assert project()["project"]["readme"] == "README.md"


def test_a_hub_has_what_its_tests_have():
    extras = project()["project"]["optional-dependencies"]
    assert set(extras["hub"]) == {one for one in extras["test"] if one.startswith("jupyterhub")}


def test_each_library_of_the_zoo_is_asked_for():
    text = (ROOT / "tests" / "zoo" / "test_zoo.py").read_text(encoding="utf-8")
    zoo = project()["project"]["optional-dependencies"]["zoo"]
    asked = {Requirement(one).name for one in zoo}
    assert asked == {"segmentation_models_pytorch", "timm", "torch_geometric", "transformers"}
    assert all(re.search(rf"^(import|from) {name}", text, re.M) for name in asked)


def test_setting_up_takes_the_pinned_versions_and_all_that_the_tests_need():
    """In an environment that isn't there yet."""
    command = ["make", "--dry-run", "VENV=/nonexistent", "/nonexistent/.bench"]
    commands = subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout
    pip = "/nonexistent/bin/python -m pip install --quiet --constraint constraints.txt"
    wanted = [
        ".ci/system-packages",
        "-m venv /nonexistent",
        f"{pip} setuptools wheel",
        "/nonexistent/bin/python .ci/torch_build.py",
        f"{pip} --no-build-isolation --editable .\n",
        "-m helpers.visdom",
        "touch /nonexistent/.lab",
        f"{pip} --no-build-isolation --editable '.[site,test]'",
        "tests/browser/axe.py",
        "touch /nonexistent/.test",
        f"{pip} --no-build-isolation --editable '.[bench,site,test]'",
        "touch /nonexistent/.bench",
    ]
    places = [commands.index(phrase) for phrase in wanted]
    assert places == sorted(places)
    assert commands.count("-m helpers.visdom") == 2


def make(*words):
    """What make would run, in an environment that isn't there yet."""
    command = ["make", "--dry-run", "VENV=/nonexistent", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout


def test_which_build_of_torch_is_a_choice(tmp_path):
    assert "/nonexistent/bin/python .ci/torch_build.py cuda\n" in make("lab", "TORCH=cuda")
    # And who chooses when all is there is told what is there.
    (tmp_path / ".lab").touch()
    there = ["TORCH=cpu", f"--old-file={tmp_path}/.lab", "lab"]
    commands = ["make", "--dry-run", f"VENV={tmp_path}", *there]
    result = subprocess.run(commands, cwd=ROOT, capture_output=True, text=True)
    assert result.stdout.count(".ci/torch_build.py cpu") == 1


def test_from_a_stick_nothing_else_is_asked():
    commands = make("lab", "BUNDLE=/media/a stick")
    assert ".ci/system-packages --say python3 dot" in commands
    assert 'python3 .ci/bundle.py install "/media/a stick" /nonexistent\n' in commands
    assert "pip" not in commands and "torch_build" not in commands
    assert commands.index("bundle.py") < commands.index("touch /nonexistent/.lab")


def test_a_stick_is_written_from_an_environment_that_came_without_it():
    commands = make("bundle", "BUNDLE=/media/a stick", "TORCH=cuda")
    assert "--editable ." in commands and "bundle.py install" not in commands
    last = commands.splitlines()[-1]
    assert last == '/nonexistent/bin/python .ci/bundle.py write "/media/a stick" cuda'
    assert ".ci/system-packages  python3 dot  npm" in commands
    assert "Name a folder: make bundle BUNDLE=/media/stick" in make("bundle")


def test_a_build_without_cuda_is_not_pinned():
    """Its list would lack the CUDA libraries."""
    commands = make("constraints")
    guard = commands.index("grep '^torch==.*+cpu'")
    assert guard < commands.index("--upgrade-strategy eager")
    assert "make constraints TORCH=cuda" in commands


def test_the_style_is_that_of_the_oldest_python():
    ruff = project()["tool"]["ruff"]
    assert ruff["target-version"] == "py311"
    assert ruff["line-length"] == 100
    assert {"E", "F", "W", "I", "UP", "B", "SIM", "RUF"} <= set(ruff["lint"]["select"])
    assert ruff["lint"]["per-file-ignores"] == {"notebooks/*": ["E402", "B905"]}
    assert ruff["lint"]["isort"]["known-first-party"] == ["helpers", "tests"]


def test_pytest_takes_all_tests_and_none_for_ever():
    options = project()["tool"]["pytest"]["ini_options"]
    assert options["testpaths"] == ["tests"]
    assert "--strict-markers" in options["addopts"]
    assert 0 < options["timeout"] <= 600


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


def system_packages(tmp_path, *words, **stubs):
    """Run .ci/system-packages where PATH holds only these stub commands and a plain shell's."""
    for name in ("sh", "uname", "mktemp", "rm", "tail", "cat"):
        (tmp_path / name).symlink_to(shutil.which(name))
    stubs = {"python3": f'exec "{sys.executable}" "$@"'} | stubs
    for name, script in stubs.items():
        stub = tmp_path / name.replace("_", "-")
        stub.write_text(f"#!/bin/sh\n{script}\n")
        stub.chmod(0o755)
    options = [word for word in words if word.startswith("--")]
    needs = [word for word in words if not word.startswith("--")]
    return subprocess.run(
        [ROOT / ".ci" / "system-packages", *options, "python3", *needs],
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


def test_where_no_network_may_be_it_only_says_what_is_missing(tmp_path):
    result = system_packages(tmp_path, "--say", "dot", id="echo 0", apt_get=LOG_APT)
    assert result.returncode == 0
    missing, line, going_on = result.stderr.splitlines()
    assert missing == "Missing: dot. Where there is a network, type this:"
    assert line.strip().endswith("--no-install-recommends graphviz")
    assert going_on == "Going on without; chapters 1 and 5 draw their diagrams with dot."
    assert not (tmp_path / "apt.log").exists()


def test_without_venv_there_is_no_going_on(tmp_path):
    python = f'test "$2" = "import ensurepip" && exit 1; exec "{sys.executable}" "$@"'
    result = system_packages(tmp_path, "--say", "dot", python3=python, id="echo 0", apt_get=LOG_APT)
    assert result.returncode == 1
    assert "venv graphviz" in result.stderr
    assert not (tmp_path / "apt.log").exists()


def test_it_is_chapters_1_and_5_that_need_dot():
    needing = {
        path.stem[:2]
        for path in CHAPTERS
        if re.search(r"build_graph|make_dot|import graphviz", path.read_text(encoding="utf-8"))
    }
    assert needing == {"01", "05"}


def test_a_python_that_is_too_old_or_absent(tmp_path):
    old = 'test "$1" = -V && echo Python 3.10.1; exit 1'
    result = system_packages(tmp_path, "dot", python3=old)
    assert result.returncode == 1
    assert "Python 3.10.1" in result.stderr
    assert "3.11, 3.12 or 3.13" in result.stderr


def test_make_help_lists_every_target_for_people():
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True).stdout
    assert {line.split()[1] for line in listed.splitlines()} >= {"lab", "test", "notebooks", "help"}


def test_what_is_recorded_is_computed_as_on_every_x86_processor():
    """Asked of torch, of oneDNN and of MKL, which say it when they compute."""
    program = (
        "import tests.arithmetic, torch; print('torch:', torch.backends.cpu.get_cpu_capability());"
        "torch.nn.functional.conv2d(torch.ones(8, 4, 9, 9), torch.ones(4, 4, 3, 3));"
        "torch.ones(64, 64) @ torch.ones(64, 64)"
    )
    names = read_env(ROOT / "tests" / "arithmetic.env")
    unset = {name: value for name, value in os.environ.items() if name not in names}
    said = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=unset | {"PYTHONPATH": str(ROOT), "MKL_VERBOSE": "1", "ONEDNN_VERBOSE": "1"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    expected = ["torch: AVX2\n", "isa:Intel AVX2\n", "CNR:COMPATIBLE"] if ROUNDED_ALIKE else []
    assert [words for words in expected if words not in said] == []
