"""The files of Visdom's page: the pinned bytes, all of them or none, and in the right place."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path

import pytest

from helpers.visdom import page as page_module
from helpers.visdom.page import PACKAGES, SHA256, AssetsError, page_folder
from tests.conftest import ROOT

INSTALLED = page_folder()
RELEASE = ".".join(version("visdom").split(".")[:2])

FAKE_NPM = """
import os, shutil, sys
with open({log!r}, "a") as log:
    log.write(" ".join(sys.argv[1:]) + "\\n")
if not os.path.isdir({archives!r}):
    sys.exit("npm error network: nobody there")
for spec in sys.argv[1:]:
    name, at, version = spec.rpartition("@")
    if at:
        shutil.copy(os.path.join({archives!r}, name + "-" + version + ".tgz"), ".")
"""


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """An empty environment (sys.prefix), and a PATH with a fake npm alone, which has no network."""
    prefix, path = tmp_path / "environment", tmp_path / "bin"
    for folder in (prefix, path):
        folder.mkdir()
    script, npm = tmp_path / "npm.py", path / "npm"
    script.write_text(
        FAKE_NPM.format(log=str(tmp_path / "npm.log"), archives=str(tmp_path / "archives"))
    )
    # Through a shell, since a path with a space can't stand after "#!".
    npm.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{script}" "$@"\n')
    npm.chmod(0o755)
    monkeypatch.setattr(sys, "prefix", str(prefix))
    monkeypatch.setenv("PATH", str(path))
    # Visdom's own download meets the same: a proxy that isn't there.
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    return prefix


@pytest.fixture
def archives(tmp_path, monkeypatch):
    """Archives for the fake npm, made of the files that are installed, and pinned as they are."""
    folder = tmp_path / "archives"
    folder.mkdir()
    pinned = []
    for package in PACKAGES[RELEASE]:
        path = folder / f"{package.name}-{package.version}.tgz"
        with tarfile.open(path, "w:gz") as archive:
            for name, target in package.files.items():
                archive.add(INSTALLED / target, f"package/{name}")
        pinned.append(package._replace(sha512=sha512(path)))
    monkeypatch.setitem(PACKAGES, RELEASE, tuple(pinned))
    return folder


def sha512(path):
    import base64
    import hashlib

    return base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()


def leftovers(prefix):
    return [path for path in prefix.rglob("*") if path.is_file()]


def test_the_installed_page_is_the_pinned_bytes_and_lies_in_the_environment():
    folder = page_folder()
    assert Path(sys.prefix) in folder.parents
    assert "site-packages" not in folder.parts
    assert page_module._digest(PACKAGES[RELEASE], folder) == SHA256[RELEASE]
    assert len(page_module._targets(PACKAGES[RELEASE])) >= 20


def test_visdoms_own_folder_is_left_alone():
    import importlib.util

    own = Path(importlib.util.find_spec("visdom").submodule_search_locations[0]) / "static"
    names = {path.name for path in own.rglob("*")}
    assert "jquery.min.js" not in names
    assert "version.built" not in names
    assert '"../user/style.css"' in (own / "index.html").read_text()


def test_the_page_asks_for_nothing_outside_its_folder():
    page = (page_folder() / "index.html").read_text()
    assert 'static_url("../' not in page
    assert "favicon.png" not in page.split("<title>")[0]


def test_npm_brings_the_page_once(archives, environment, tmp_path):
    folder = page_folder()
    assert folder.parent == environment / "share" / "seeing-pytorch"
    assert page_module._digest(PACKAGES[RELEASE], folder) == SHA256[RELEASE]
    assert (folder / "js" / "main.js").stat().st_size > 1_000_000
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    assert page_folder() == folder
    calls = (tmp_path / "npm.log").read_text().splitlines()
    assert len(calls) == 1
    for package in PACKAGES[RELEASE]:
        assert f" {package.name}@{package.version}" in calls[0]


def test_another_archive_than_the_pinned_one_is_refused(archives, environment):
    with (archives / "sjcl-1.0.7.tgz").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(AssetsError, match=r"npm: sjcl@1\.0\.7 isn't what is pinned"):
        page_folder()
    assert leftovers(environment) == []


def test_from_a_folder_of_archives_the_page_comes_without_npm(archives, environment, tmp_path):
    (Path(os.environ["PATH"]) / "npm").unlink()
    run = [sys.executable, "-c", FROM_FOLDER, environment, archives]
    pins = {package.name: package.sha512 for package in PACKAGES[RELEASE]}
    result = subprocess.run([*run, json.dumps(pins)], cwd=ROOT, capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")
    assert page_module._digest(PACKAGES[RELEASE], page_folder()) == SHA256[RELEASE]
    assert environment in page_folder().parents


FROM_FOLDER = """
import json, runpy, sys
sys.prefix, pins = sys.argv.pop(1), json.loads(sys.argv.pop(2))
from helpers.visdom import page
for release, packages in page.PACKAGES.items():
    page.PACKAGES[release] = tuple(p._replace(sha512=pins[p.name]) for p in packages)
runpy.run_module("helpers.visdom", run_name="__main__")
"""
"""``python -m helpers.visdom FOLDER`` for an environment, with these pins of the archives."""


def test_a_folder_of_archives_is_all_that_is_asked(archives, environment, tmp_path):
    (archives / "sjcl-1.0.7.tgz").unlink()
    with pytest.raises(AssetsError, match=r"archives: sjcl-1\.0\.7\.tgz isn't there\)") as info:
        page_folder(archives)
    assert "Visdom's own download" not in str(info.value)
    (archives / "sjcl-1.0.7.tgz").write_bytes(b"something else")
    with pytest.raises(AssetsError, match=r"archives: sjcl@1\.0\.7 isn't what is pinned"):
        page_folder(archives)
    assert leftovers(environment) == []
    assert not (tmp_path / "npm.log").exists()


def test_other_files_than_the_pinned_ones_are_refused(archives, environment, monkeypatch):
    """As if the archives were right and Visdom's download had brought something else."""
    monkeypatch.setitem(SHA256, RELEASE, "0" * 64)
    with pytest.raises(AssetsError, match="what came isn't what is pinned"):
        page_folder()
    assert leftovers(environment) == []


def test_no_network_is_said_with_what_works_and_what_to_do(environment):
    with pytest.raises(AssetsError) as info:
        page_folder()
    message = str(info.value)
    assert "(npm: npm pack failed, npm error network: nobody there" in message
    assert "Visdom's own download: " in message
    assert "didn't come" in message
    assert "API works without its page: VisdomServer(folder, page=False)" in message
    assert "python -m helpers.visdom" in message
    assert leftovers(environment) == []


def test_without_npm_visdoms_own_download_brings_the_page(archives, environment, monkeypatch):
    (Path(os.environ["PATH"]) / "npm").unlink()
    run = subprocess.run

    def download(command, **options):
        """Stands in for Visdom's download: its files, in the folder that it was told."""
        assert "download_scripts(install_dir=sys.argv[1])" in command[2]
        shutil.copytree(INSTALLED, Path(command[3]) / "static")
        return run([sys.executable, "-c", ""], **options)

    monkeypatch.setattr(subprocess, "run", download)
    folder = page_folder()
    assert page_module._digest(PACKAGES[RELEASE], folder) == SHA256[RELEASE]


def test_a_second_process_that_was_quicker_is_no_error(archives, environment, monkeypatch):
    fetch = page_module._fetch

    def slow_fetch(release, page, scratch, archives):
        fetch(release, page, scratch, archives)
        monkeypatch.setattr(page_module, "_fetch", fetch)
        page_folder()

    monkeypatch.setattr(page_module, "_fetch", slow_fetch)
    folder = page_folder()
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_an_environment_that_cannot_be_written(environment):
    (environment / "share").touch()
    with pytest.raises(AssetsError, match=r"can't be written.*API works without its page"):
        page_folder()


def test_a_visdom_of_tomorrow(monkeypatch):
    monkeypatch.setattr(page_module, "version", lambda name: "0.9.1")
    with pytest.raises(AssetsError, match=r"page of Visdom 0\.9 isn't known"):
        page_folder()


def test_as_a_command_it_says_nothing_or_one_sentence():
    command = [sys.executable, "-m", "helpers.visdom"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
