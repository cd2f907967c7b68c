"""Which build of torch is taken, with an index on loopback in place of PyTorch's own."""

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from threading import Event

import packaging
import pytest
import yaml

from tests import wheels
from tests.conftest import ROOT
from tests.test_setup import active_pins
from tests.wheels import make_wheel, serve

SCRIPT = ROOT / ".ci" / "torch_build.py"
VERSIONS = {pin.name: str(pin.specifier).removeprefix("==") for pin in active_pins()}
SOON = 8.0
"""Seconds that a run may take on a busy machine; the script waits for four of them."""


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """The Python of an environment as it is before torch is chosen: pip, and packaging."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    shutil.copytree(Path(packaging.__file__).parent, site / "packaging")
    return folder / "bin" / "python"


@pytest.fixture
def python(empty):
    """That Python; what a test installs is removed after it."""
    site = next(empty.parent.parent.glob("lib/python*/site-packages"))
    before = set(site.iterdir())
    yield empty
    for path in set(site.iterdir()) - before:
        shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.fixture
def index(tmp_path):
    with wheels.index(tmp_path / "index") as it:
        yield it


@pytest.fixture
def full(index):
    """The index with the CPU build, and with much else that isn't to be taken."""
    for name in ("torch", "torchvision"):
        pin = VERSIONS[name]
        make_wheel(index.folder, name, "0.1+cpu")
        make_wheel(index.folder, name, "99.0+cpu")
        make_wheel(index.folder, name, f"{pin}+cpu")
        make_wheel(index.folder, name, f"{pin}+zzz", "cp39-cp39-win_amd64")
        make_wheel(index.folder, name, f"{pin}.post1+cpu")
    return index


def choose(python, address, tmp_path, *words, platform=None, **programs):
    """Run the script where PATH holds only these programs: (exit code, lines, seconds)."""
    path = tmp_path / "bin"
    path.mkdir(exist_ok=True)
    for name, script in programs.items():
        program = path / name.replace("_", "-")
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PIP_")}
    environment |= {"TORCH_INDEX": address, "PATH": str(path), "PIP_CONFIG_FILE": os.devnull}
    environment |= {"PIP_NO_CACHE_DIR": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    command = [python, SCRIPT, *words]
    if platform:
        run = f"import runpy, sys; main = runpy.run_path({str(SCRIPT)!r})['main']; "
        run += f"sys.platform = {platform!r}; sys.exit(main(''))"
        command = [python, "-c", run]
    started = time.monotonic()
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    seconds = time.monotonic() - started
    return result.returncode, (result.stdout + result.stderr).splitlines(), seconds


def installed(python):
    run = (
        "from importlib.metadata import distributions as d\n"
        "print(*sorted(f'{p.name} {p.version}' for p in d() if p.name[:5] == 'torch'), sep='\\n')"
    )
    printed = subprocess.run([python, "-c", run], capture_output=True, text=True).stdout
    return printed.split("\n")[:-1] if printed.strip() else []


CPU_BUILD = [f"{name} {VERSIONS[name]}+cpu" for name in ("torch", "torchvision")]
CARD = 'echo "GPU 0: NVIDIA GeForce RTX 4090 (UUID: GPU-1)"'


def test_without_a_card_the_cpu_build_is_taken(python, full, tmp_path):
    code, lines, _ = choose(python, full.address, tmp_path)
    assert (code, lines) == (0, [])
    assert installed(python) == CPU_BUILD
    # And the course's own requirements find nothing left to do, at the versions of the constraints.
    pip = [python, "-m", "pip", "install", "--no-index", "--no-deps", "--quiet"]
    rest = [*pip, "--constraint", ROOT / "constraints.txt", "torch>=2.6", "torchvision>=0.21"]
    subprocess.run(rest, check=True)
    assert installed(python) == CPU_BUILD
    assert not any("packaging" in path or "numpy" in path for path in full.asked)


def test_a_card_leaves_torch_to_pypi(python, full, tmp_path):
    assert choose(python, full.address, tmp_path, nvidia_smi=CARD)[:2] == (0, [])
    assert installed(python) == full.asked == []


@pytest.mark.parametrize(
    "smi", ["exit 9", "echo No devices were found", "echo GPU 0; exit 6"], ids=lambda text: text[:9]
)
def test_a_driver_without_its_card_is_no_card(python, full, tmp_path, smi):
    assert choose(python, full.address, tmp_path, nvidia_smi=smi)[:2] == (0, [])
    assert installed(python) == CPU_BUILD


def test_who_asks_for_a_build_gets_it(python, full, tmp_path):
    assert choose(python, full.address, tmp_path, "cuda")[:2] == (0, [])
    assert installed(python) == full.asked == []
    assert choose(python, full.address, tmp_path, "cpu", nvidia_smi=CARD)[:2] == (0, [])
    assert installed(python) == CPU_BUILD


def test_what_is_there_stays_and_who_wants_the_other_is_told_how(python, full, tmp_path):
    choose(python, full.address, tmp_path)
    full.asked.clear()
    assert choose(python, full.address, tmp_path, "cpu")[:2] == (0, [])
    code, (line,), _ = choose(python, full.address, tmp_path, "cuda")
    assert code == 0
    assert line == "The cpu build of torch is here. For the other: make clean, then this again"
    assert installed(python) == CPU_BUILD
    assert full.asked == []


def test_an_older_cpu_build_is_followed_by_a_newer_one(python, full, tmp_path):
    old = full.folder / "torch-0.1+cpu-py3-none-any.whl"
    subprocess.run([python, "-m", "pip", "install", "-q", "--no-index", old], check=True)
    assert choose(python, full.address, tmp_path, nvidia_smi=CARD)[:2] == (0, [])
    assert installed(python) == CPU_BUILD


def test_another_word_is_refused(python, full, tmp_path):
    code, lines, _ = choose(python, full.address, tmp_path, "gpu")
    assert (code, lines) == (2, ["TORCH is cpu or cuda, not 'gpu'"])


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_elsewhere_pypis_build_is_the_cpu_one(python, full, tmp_path, platform):
    assert choose(python, full.address, tmp_path, platform=platform)[:2] == (0, [])
    assert installed(python) == full.asked == []


def taken_from_pypi(python, address, tmp_path, reason):
    """It says so in one line, soon, and goes on."""
    code, lines, seconds = choose(python, address, tmp_path)
    assert code == 0
    (line,) = lines
    assert line.startswith(f"PyTorch's own index {reason}"), line
    assert line.endswith(": taking PyPI's build of torch, up to 3 GB to download.")
    assert seconds < SOON
    assert installed(python) == []


def test_nobody_at_the_address(python, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    taken_from_pypi(python, f"http://127.0.0.1:{port}", tmp_path, "can't be reached (")
    taken_from_pypi(python, "http://nobody.invalid/cpu", tmp_path, "can't be reached (")


def test_an_index_that_refuses(python, index, tmp_path):
    taken_from_pypi(python, index.address, tmp_path, "can't be reached (HTTP Error 404")


def test_an_index_that_hangs_at_one_page_and_drips_at_the_other(python, tmp_path):
    end = Event()

    def answer(request):
        if "vision" in request.path:
            request.send_response(200)
            request.end_headers()
            while not end.wait(0.5):
                try:
                    request.wfile.write(b"<p>")
                except OSError:
                    return
        end.wait(30)

    with serve(answer) as address:
        try:
            taken_from_pypi(python, address, tmp_path, "doesn't answer within 4 s")
        finally:
            end.set()


@pytest.mark.parametrize(
    ("version", "tag"),
    [
        ("0.1+cpu", "py3-none-any"),
        ("{pin}+cpu", "cp39-cp39-manylinux_2_28_x86_64"),
        ("{pin}+cpu", "py3-none-win_amd64"),
    ],
)
def test_an_index_without_this_release_for_this_machine(python, index, tmp_path, version, tag):
    make_wheel(index.folder, "torch", f"{VERSIONS['torch']}+cpu")
    make_wheel(index.folder, "torchvision", version.format(pin=VERSIONS["torchvision"]), tag)
    reason = f"has no torchvision {VERSIONS['torchvision']} for this Python and system"
    taken_from_pypi(python, index.address, tmp_path, reason)
    assert not any(path.endswith(".whl") for path in index.asked)


def test_other_bytes_than_the_index_promises_are_refused_with_a_way_out(python, full, tmp_path):
    """Not PyPI's in its place: who has a bad line wouldn't want 3 GB through it."""
    bad = f"torch-{VERSIONS['torch']}+cpu-py3-none-any.whl"
    full.hashes[bad] = "0" * 64
    code, lines, _ = choose(python, full.address, tmp_path)
    assert code == 1
    assert "HASH" in "\n".join(lines)
    assert lines[-1].startswith(f"torch=={VERSIONS['torch']}+cpu and torchvision")
    assert (
        "PIP_NO_CACHE_DIR=1 make lab; or take PyPI's build, 3 GB: make lab TORCH=cuda" in lines[-1]
    )
    assert installed(python) == []
    # What it advises: PyPI's; or again, when what comes is right.
    assert choose(python, full.address, tmp_path, "cuda")[:2] == (0, [])
    full.hashes.clear()
    assert choose(python, full.address, tmp_path)[:2] == (0, [])
    assert installed(python) == CPU_BUILD


def test_what_conda_hands_to_pip_takes_the_cpu_build(python, full, tmp_path):
    """environment.yml and Binder's: with PyTorch's index beside PyPI, and with that one away."""
    with wheels.index(tmp_path / "pypi") as pypi, socket.create_server(("127.0.0.1", 0)) as free:
        for name in ("torch", "torchvision"):
            make_wheel(pypi.folder, name, VERSIONS[name])
        away = f"http://127.0.0.1:{free.getsockname()[1]}"
        free.close()
        pip = [python, "-m", "pip", "--isolated", "install", "--quiet", "--retries=0", "--no-deps"]
        pip += ["--no-cache-dir", "--constraint", ROOT / "constraints.txt"]
        for file in ("environment.yml", "binder/environment.yml"):
            lines = yaml.safe_load((ROOT / file).read_text())["dependencies"][-1]["pip"]
            (option,) = (line for line in lines if line.endswith("/whl/cpu"))
            option, _ = option.split()
            both = ["--force-reinstall", "--index-url", pypi.address, option, full.address]
            subprocess.run([*pip, *both, "torch", "torchvision"], check=True)
            assert installed(python) == CPU_BUILD
            again = ["--force-reinstall", "--index-url", pypi.address, option, away]
            subprocess.run([*pip, *again, "torch", "torchvision"], check=True)
            assert installed(python) == [build.removesuffix("+cpu") for build in CPU_BUILD]
