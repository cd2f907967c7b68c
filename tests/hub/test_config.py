"""The hub's configuration where it is the real thing: with a stand-in for systemd and accounts."""

import asyncio
import os
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest
from systemdspawner import SystemdSpawner, systemd, systemdspawner
from traitlets.config import PyFileConfigLoader

from tests.conftest import ROOT

HUB = ROOT / "docs" / "teaching" / "hub"


@pytest.fixture
def load(tmp_path, monkeypatch):
    """A function that loads the configuration in its own folder, as root with systemd or not."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(HUB))
    (tmp_path / "students.txt").write_text("Teacher\n\nalice  # from Tuesday on\nbob\n")

    def load(root=True, with_systemd=True, closed=None):
        is_dir, stat = Path.is_dir, Path.stat

        def may_be_entered(path, **options):
            mode, *rest = stat(path, **options)
            return os.stat_result([mode & ~1 if path == closed else mode | 1, *rest])

        with monkeypatch.context() as patch:
            patch.setattr(os, "geteuid", lambda: 0 if root else 1000)
            patch.setattr(
                Path,
                "is_dir",
                lambda path: with_systemd if str(path) == "/run/systemd/system" else is_dir(path),
            )
            patch.setattr(Path, "stat", may_be_entered)
            return PyFileConfigLoader("jupyterhub_config.py", path=str(HUB)).load_config()

    return load


def test_the_names_in_the_list_may_come_in_and_the_first_is_the_teacher(load):
    c = load()
    assert c.Authenticator.allowed_users == {"teacher", "alice", "bob"}
    assert c.Authenticator.admin_users == {"teacher"}


def test_without_a_list_it_says_what_to_write_and_then_starts(load, tmp_path):
    (tmp_path / "students.txt").unlink()
    with pytest.raises(SystemExit, match=r"students.txt can't be read .* Write one name a line"):
        load()
    (tmp_path / "students.txt").write_text("teacher\n")
    assert load().Authenticator.allowed_users == {"teacher"}


@pytest.mark.parametrize("closed", [ROOT, ROOT.parent, Path(sys.prefix)])
def test_a_course_that_students_cant_enter_is_named(load, closed):
    with pytest.raises(SystemExit, match=f"Students can't enter {closed}, .* like /srv"):
        load(closed=closed)
    load()


@pytest.mark.parametrize(("root", "with_systemd"), [(False, True), (True, False), (False, False)])
def test_elsewhere_it_is_a_trial_that_ends_with_all_its_servers(load, root, with_systemd, capsys):
    c = load(root, with_systemd)
    assert c.JupyterHub.spawner_class == "simple"
    assert c.JupyterHub.bind_url == "http://127.0.0.1:8000"
    assert c.JupyterHub.cleanup_servers and c.JupyterHub.cleanup_proxy
    assert ("--allow-root" in c.Spawner.args) == root
    assert "nothing is limited" in capsys.readouterr().out


def test_a_student_gets_an_account_and_limits_from_systemd(load, monkeypatch):
    c = load()
    assert c.JupyterHub.spawner_class == "systemdspawner.SystemdSpawner"
    assert not c.JupyterHub.cleanup_servers and not c.JupyterHub.cleanup_proxy
    assert "--allow-root" not in c.Spawner.args
    asked = {}

    async def answer(*names, **options):
        asked.update(options)
        return bool(asked)

    for name in ("service_running", "service_failed", "start_transient_service"):
        monkeypatch.setattr(systemd, name, answer)
    account = SimpleNamespace(pw_uid=4711, pw_gid=4712, pw_dir="/home/class-alice")
    accounts = {"class-alice": account}
    monkeypatch.setattr(systemdspawner.pwd, "getpwnam", accounts.__getitem__)
    monkeypatch.setattr(SystemdSpawner, "get_env", lambda self: dict(self.environment))
    monkeypatch.setattr(SystemdSpawner, "get_args", lambda self: list(self.args))
    spawner = SystemdSpawner(config=c, user=SimpleNamespace(name="alice", id=1, url="/user/alice/"))
    asyncio.run(spawner.start())
    assert (asked["uid"], asked["gid"]) == (4711, 4712)
    assert {name: value for name, value in asked["properties"].items() if value} == {
        "MemoryAccounting": "yes",
        "MemoryMax": 2 * 1024**3,
        "CPUAccounting": "yes",
        "CPUQuota": "100%",
        "NoNewPrivileges": "yes",
        "PrivateTmp": "yes",
    }
    assert asked["environment_variables"]["OMP_NUM_THREADS"] == "1"
    assert asked["cmd"][0].endswith("/bin/jupyterhub-singleuser")


def test_the_account_is_made_once_and_is_the_students_alone(load, tmp_path, monkeypatch):
    hook = load().Spawner.pre_spawn_hook
    made, owners = [], []

    def useradd(command, check):
        made.append(command)
        Path(command[command.index("--home-dir") + 1]).mkdir(mode=0o755)

    world = hook.__globals__
    monkeypatch.setitem(world, "HOMES", tmp_path)
    monkeypatch.setattr(world["subprocess"], "run", useradd)
    monkeypatch.setattr(world["shutil"], "chown", lambda *arguments: owners.append(arguments))
    spawner = SimpleNamespace(user=SimpleNamespace(name="alice"))
    hook(spawner)
    hook(spawner)
    home = tmp_path / "class-alice"
    assert made == [["useradd", "--create-home", "--home-dir", home, "class-alice"]]
    assert home.stat().st_mode & 0o777 == 0o700
    assert owners == [(home / ".gitconfig", "class-alice", "class-alice")]
    assert f"directory = {ROOT}/.git\n" in (home / ".gitconfig").read_text()


def test_with_a_certificate_it_listens_to_everyone_and_without_one_to_itself(load, tmp_path):
    assert load().JupyterHub.bind_url == "http://127.0.0.1:8000"
    for name in ("certificate.pem", "key.pem"):
        (tmp_path / name).touch()
    c = load()
    assert c.JupyterHub.bind_url == "https://:8000"
    assert c.JupyterHub.ssl_cert == str(tmp_path / "certificate.pem")


def test_others_cant_look_into_its_folder(load, tmp_path):
    tmp_path.chmod(0o755)
    load()
    assert tmp_path.stat().st_mode & 0o777 == 0o700


def test_the_tests_run_the_hub_that_is_installed():
    """One list of packages: what the extra "hub" has, "test" has too."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    hub, test = (set(extras["optional-dependencies"][name]) for name in ("hub", "test"))
    assert hub <= test
