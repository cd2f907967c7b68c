"""JupyterHub's proxy, as npm brings it."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys

import pytest

from tests.conftest import ROOT

HUB = ROOT / "docs" / "teaching" / "hub"
_spec = importlib.util.spec_from_file_location("hub_proxy", HUB / "proxy.py")
proxy = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(proxy)


def test_it_is_the_one_that_is_pinned():
    said = subprocess.run([*proxy.proxy_command(), "--version"], capture_output=True, text=True)
    wanted = json.loads((HUB / "package.json").read_text())["dependencies"]
    assert said.stdout.strip() == wanted["configurable-http-proxy"]


def test_every_package_that_it_brings_is_pinned_by_its_bytes():
    packages = json.loads((HUB / "package-lock.json").read_text())["packages"]
    assert packages.pop("")
    assert len(packages) > 10
    for name, package in packages.items():
        assert package["integrity"].startswith("sha512-"), name
        assert "resolved" not in package, f"{name}: from whichever registry npm is set to"


def test_other_bytes_are_refused_and_nothing_is_left(tmp_path, monkeypatch):
    for name in proxy.PINS:
        shutil.copy(HUB / name, tmp_path)
    lock = tmp_path / "package-lock.json"
    lock.write_text(re.sub(r"sha512-[^\"]{10}", "sha512-AAAAAAAAAA", lock.read_text(), count=1))
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "environment"))
    with pytest.raises(proxy.ProxyError, match=r"npm ci failed, .*(EINTEGRITY|integrity)"):
        proxy.proxy_command(tmp_path)
    assert list((tmp_path / "environment" / "share" / "seeing-pytorch").iterdir()) == []


def test_without_npm_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(proxy.ProxyError, match="install npm"):
        proxy.proxy_command()
