"""A JupyterHub for a class: one machine, one environment, an account and limits for each student.

    make hub

starts it, in the folder data/hub, where it keeps what it knows and finds ``students.txt``. As root,
on a machine with systemd, it is the real thing. Otherwise it is a trial: on 127.0.0.1 only, without
limits, and its students are all one user, who could read each other's files.

The page docs/teaching/hub/index.md says what to set up, and how large a machine has to be.
"""

import math
import os
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlencode

HERE = Path(__file__).resolve().parent
COURSE = HERE.parents[2]
sys.path[:0] = [str(HERE), str(COURSE)]

from proxy import proxy_command  # noqa: E402

from helpers.runtime import SETTINGS  # noqa: E402

# ---- what a teacher may want to change ----

MEMORY = "2G"  # what a student's programs may use; the one that asks for more is ended
CORES = 1.0  # what a student gets of the processor while others want it too, or nobody does
IDLE = 60 * 60  # seconds after which a server ends at which nothing happens any more
PORT = 8000
REPOSITORY = f"file://{COURSE}"  # where the chapters come from: this copy, or one on a forge
BRANCH = subprocess.run(
    ["git", "branch", "--show-current"], cwd=COURSE, capture_output=True, text=True
).stdout.strip()

# ---- who may come in ----

c = get_config()  # noqa: F821
STATE = Path.cwd()
STATE.chmod(0o700)  # it holds what proves who somebody is
LISTED = STATE / "students.txt"
try:
    lines = [line.partition("#")[0].strip() for line in LISTED.read_text().splitlines()]
except OSError as error:
    raise SystemExit(
        f"{LISTED} can't be read ({error.strerror}). Write one name a line there: the teacher's "
        "first, then the students'."
    ) from None
names = [line.lower() for line in lines if line]

c.JupyterHub.authenticator_class = "firstuseauthenticator.FirstUseAuthenticator"
c.FirstUseAuthenticator.dbm_path = str(STATE / "passwords")
c.FirstUseAuthenticator.min_password_length = 8
c.Authenticator.username_pattern = "[a-z][a-z0-9-]{0,23}"  # with "class-", what Linux allows
c.Authenticator.allowed_users = set(names)
c.Authenticator.admin_users = set(names[:1])

# ---- where a student's server runs ----


HOMES = Path("/home")


def account(name: str) -> str:
    """The account of the machine that belongs to a student."""
    return f"class-{name}"


def make_account(spawner) -> None:
    """Make a student's account, whose files nobody else can read, if it isn't there."""
    name = account(spawner.user.name)
    home = HOMES / name
    if not home.exists():
        subprocess.run(["useradd", "--create-home", "--home-dir", home, name], check=True)
        home.chmod(0o700)
        # Git takes another user's repository, the teacher's copy, only if it is told to.
        settings = home / ".gitconfig"
        settings.write_text(f"[safe]\n\tdirectory = {COURSE}\n\tdirectory = {COURSE}/.git\n")
        shutil.chown(settings, name, name)


REAL = os.geteuid() == 0 and Path("/run/systemd/system").is_dir()
if REAL:
    for place in (COURSE, Path(sys.prefix), Path(sys.executable).resolve()):
        for folder in (place, *place.parents):
            if not folder.stat().st_mode & 0o001:
                raise SystemExit(
                    f"Students can't enter {folder}, and {place} is in it. Put the course into a "
                    "folder that everyone may enter, like /srv, and make .venv there anew, with "
                    "the system's Python."
                )
    c.JupyterHub.spawner_class = "systemdspawner.SystemdSpawner"
    c.SystemdSpawner.username_template = account("{USERNAME}")
    c.SystemdSpawner.isolate_tmp = True
    c.SystemdSpawner.disable_user_sudo = True
    c.Spawner.pre_spawn_hook = make_account
    c.Spawner.args = []
    c.Spawner.mem_limit = MEMORY
    c.Spawner.cpu_limit = CORES
else:
    print("A trial: on this machine only, all students are one user, and nothing is limited.")
    c.JupyterHub.spawner_class = "simple"
    c.SimpleLocalProcessSpawner.home_dir_template = str(STATE / "homes" / "{username}")
    c.Spawner.args = ["--allow-root"] if os.geteuid() == 0 else []

c.Spawner.cmd = [str(Path(sys.prefix) / "bin" / "jupyterhub-singleuser")]
c.Spawner.args += [
    "--LabApp.extension_manager=readonly",
    "--LabApp.news_url=None",
    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
]
c.Spawner.start_timeout = 120  # thirty at once
c.Spawner.http_timeout = 120
c.Spawner.environment = SETTINGS | {
    "OMP_NUM_THREADS": str(math.ceil(CORES)),
    # Chapters that two editions were joined to are looked at: see helpers/update.py.
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "core.hooksPath",
    "GIT_CONFIG_VALUE_0": str(HERE / "git-hooks"),
    # The environment's folders for programs come first.
    "PATH": os.pathsep.join([str(Path(sys.prefix) / "bin"), os.environ.get("PATH", os.defpath)]),
}
# Whoever logs in gets the newest edition of the chapters, and keeps what is theirs: nbgitpuller.
pull = {
    "repo": REPOSITORY,
    "branch": BRANCH,
    "targetpath": "seeing-pytorch",
    "urlpath": "lab/tree/seeing-pytorch/notebooks",
}
c.Spawner.default_url = f"/git-pull?{urlencode(pull)}"

# ---- the hub itself ----

certificate, key = STATE / "certificate.pem", STATE / "key.pem"
if certificate.exists() and key.exists():
    c.JupyterHub.ssl_cert, c.JupyterHub.ssl_key = str(certificate), str(key)
    c.JupyterHub.bind_url = f"https://:{PORT}"
else:  # nobody's password goes over a network as it is
    c.JupyterHub.bind_url = f"http://127.0.0.1:{PORT}"
c.ConfigurableHTTPProxy.command = proxy_command()
# When the real hub ends, students work on, and the next one finds them.
c.JupyterHub.cleanup_servers = not REAL
c.JupyterHub.cleanup_proxy = not REAL

culler = [sys.executable, "-m", "jupyterhub_idle_culler", f"--timeout={IDLE}"]
c.JupyterHub.services = [{"name": "idle-culler", "command": culler}]
c.JupyterHub.load_roles = [
    {
        "name": "idle-culler",
        "services": ["idle-culler"],
        "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
    }
]
