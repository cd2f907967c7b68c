"""A hub for a class, with its proxy, and students who meet there; one test goes on from another."""

import contextlib
import json
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import nbformat
import psutil
import pytest
import websocket

from tests.conftest import ROOT
from tests.git import commit, three_that_git_cant_join
from tests.hub.conftest import CULLER
from tests.hub.student import PATIENCE, Student

PASSWORD = "correct horse battery"

PAGES = """
import json
from pathlib import Path
from tensorboardX import SummaryWriter
from helpers.tensorboard import TensorBoardServer
from helpers.visdom import VisdomServer
with SummaryWriter("log") as writer:
    writer.add_scalar("loss", 0.5, 1)
board, visdom = TensorBoardServer("log"), VisdomServer("environments")
visdom.client().text("hello", win="greeting")
print(json.dumps({"board": board.url, "visdom": visdom.url}))
"""


class Work:
    """A student at work: kernel, and the addresses of the two pages that it serves."""

    def __init__(self, student: Student) -> None:
        self.student = student
        student.start_server()
        student.pull(f"/user/{student.name}/")
        self.kernel = student.kernel("seeing-pytorch/notebooks")
        self.pages = json.loads(self.kernel.run(PAGES))
        self.ports = {name: page_port(path) for name, path in self.pages.items()}


def page_port(path: str) -> int:
    return int(re.search(r"/proxy/absolute/(\d+)/", path).group(1))


@pytest.fixture(scope="module")
def work(hub):
    """Alice and Bob, {name: Work}, who come at the same time."""
    students = [hub.student(name) for name in ("alice", "bob")]
    with ThreadPoolExecutor() as pool:
        assert all(reply.ok for reply in pool.map(lambda one: one.log_in(PASSWORD), students))
        return {own.student.name: own for own in pool.map(Work, students)}


def test_only_who_is_listed_and_knows_the_password_comes_in(hub, work):
    assert hub.student("alice").log_in("another password").status_code == 403
    assert hub.student("mallory").log_in(PASSWORD).status_code == 403
    short = hub.student("carol").log_in("short")
    assert short.status_code == 403
    assert "at least 8 characters" in short.text


def test_who_logs_in_finds_the_chapters_and_a_link_opens_one(hub, work):
    alice = work["alice"].student
    assert alice.pull("/user/alice/") == "/user/alice/lab/tree/seeing-pytorch/notebooks"
    first = sorted((hub.course / "notebooks").glob("*.ipynb"))[0].name
    notebook = alice.contents(f"seeing-pytorch/notebooks/{first}")
    stored = nbformat.read(hub.course / "notebooks" / first, as_version=4)
    assert [c["source"] for c in notebook["cells"]] == [c.source for c in stored.cells]
    # The link of the page for teachers, but for the server's name and the folder on it.
    page = (ROOT / "docs" / "teaching" / "hub" / "index.md").read_text(encoding="utf-8")
    link = re.search(r"^https://SERVER:8000(/.*)$", page, re.M).group(1)
    assert quote("/srv/seeing-pytorch", safe="") in link
    link = link.replace(quote("/srv/seeing-pytorch", safe=""), quote(str(hub.course), safe=""))
    chapter = "seeing-pytorch/notebooks/02_tensorboardx_training.ipynb"
    assert alice.pull(link) == f"/user/alice/lab/tree/{chapter}"
    assert alice.contents(chapter)["cells"]


def test_each_sees_their_own_pages_at_their_own_address(work):
    for name, own in work.items():
        for page, path in own.pages.items():
            assert path.startswith(f"/user/{name}/proxy/absolute/"), page
        assert "TensorBoard" in own.student.get(own.pages["board"]).text
        tags = own.student.get(own.pages["board"] + "data/plugin/scalars/tags")
        assert "loss" in tags.text or tags.json() == {}  # before its first look at the folder
        assert "Visdom" in own.student.get(own.pages["visdom"]).text
        message = heard(own.student, own.pages["visdom"] + "socket")
        assert json.loads(message)["command"] == "register"


def heard(student: Student, path: str) -> str:
    """The first message of a websocket; "" if it isn't opened, or is closed without one."""
    try:
        socket = student.socket(path)
    except websocket.WebSocketBadStatusException as refused:
        assert refused.status_code in (403, 404), refused
        return ""
    with (
        contextlib.closing(socket),
        contextlib.suppress(websocket.WebSocketConnectionClosedException),
    ):
        return socket.recv()
    return ""


def ways_to(victim: str, path: str, port: int) -> dict[str, str]:
    """How alice may try a neighbour's page, who knows all but its secret."""
    inside = re.sub("/token-[^/]+", "", path)
    return {
        "the neighbour's address": path,
        "a guessed port": f"/user/alice/proxy/{port}/",
        "a guessed port, its path kept": f"/user/alice/proxy/absolute/{port}/",
        "a guessed port, and the neighbour's path": f"/user/alice/proxy/{port}{inside}",
        "the same by the machine's name": f"/user/alice/proxy/localhost:{port}{inside}",
        "the same by its number": f"/user/alice/proxy/127.0.0.1:{port}{inside}",
        "through the neighbour's server": f"/user/{victim}/proxy/{port}{inside}",
    }


WAYS = list(ways_to("bob", "/", 1))


@pytest.mark.parametrize("way", WAYS)
def test_a_neighbours_page_is_refused(work, way):
    alice, bob = work["alice"], work["bob"]
    for page, path in bob.pages.items():
        tried = ways_to("bob", path, bob.ports[page])[way]
        for method in ("GET", "POST"):
            reply = alice.student.session.request(
                method, f"{alice.student.address}{tried}", timeout=PATIENCE
            )
            assert reply.status_code == 403, (page, method, reply.status_code, reply.url)
            assert "greeting" not in reply.text and "TensorBoard" not in reply.text
        assert heard(alice.student, f"{tried.rstrip('/')}/socket") == "", page


def test_neither_is_a_neighbours_jupyter_server_at_its_port(hub, work):
    """It asks for bob's cookie, and alice hasn't got it."""
    (server,) = (p for p in hub.processes("bob") if "singleuser" in " ".join(p.cmdline()))
    ports = {c.laddr.port for c in server.net_connections() if c.status == "LISTEN"}
    alice = work["alice"].student
    for port in ports:
        reply = alice.get(f"/user/alice/proxy/{port}/user/bob/api/contents")
        assert reply.status_code == 403, reply.text
        page = alice.get(f"/user/alice/proxy/{port}/user/bob/lab")
        assert page.status_code >= 400 or "/hub/" in page.url, page.url
    assert alice.get("/user/bob/api/contents").status_code == 403
    assert alice.get("/hub/api/users").status_code == 403


def test_without_a_login_there_is_nothing_to_see(hub, work):
    stranger = hub.student("stranger")
    for path in work["bob"].pages.values():
        assert stranger.get(path).url.startswith(f"{hub.address}/hub/login")
        assert heard(stranger, f"{path}socket") == ""


def test_a_restart_of_the_hub_takes_nothing(hub, work):
    alice = work["alice"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("mine = 1")])
    alice.student.save("seeing-pytorch/mine.ipynb", notebook)
    alice.kernel.run("answer = 42")
    hub.stop()
    assert alice.kernel.run("print(answer)") == "42\n"  # students work on meanwhile
    hub.start()
    assert hub.student("alice").log_in(PASSWORD).ok  # it knows her again
    for name, own in work.items():
        for path in own.pages.values():
            reply = own.student.get(path)
            assert reply.ok and reply.url.endswith(path), (name, reply.url)  # without a login
        own.student.get(f"{own.student.base}lab").raise_for_status()
    assert alice.kernel.run("print(answer)") == "42\n"
    kept = alice.student.contents("seeing-pytorch/mine.ipynb")
    assert kept["cells"][0]["source"] == "mine = 1"
    shown = work["bob"].kernel.run("print(visdom.client().get_window_data('greeting')[:20])")
    assert shown.strip()
    refused = alice.student.get(ways_to("bob", *of(work["bob"]))[WAYS[3]])
    assert refused.status_code == 403


def of(own: Work) -> tuple[str, int]:
    return own.pages["board"], own.ports["board"]


def test_the_newest_edition_comes_with_the_next_visit(hub, work):
    """What a student changed is theirs; tests/helpers/test_update.py has the cases one by one."""
    alice = work["alice"].student
    first, second = sorted((hub.course / "notebooks").glob("*.ipynb"))[:2]
    changed = alice.contents(f"seeing-pytorch/notebooks/{first.name}")
    changed["cells"].append(nbformat.v4.new_code_cell("'a cell of mine'"))
    alice.save(f"seeing-pytorch/notebooks/{first.name}", changed)
    for path in (first, second):
        notebook = nbformat.read(path, as_version=4)
        notebook.cells[0].source += "\n\nThe second edition."
        nbformat.write(notebook, path)
    commit(hub.course, "The second edition")
    alice.pull("/user/alice/")
    here = [alice.contents(f"seeing-pytorch/notebooks/{path.name}") for path in (first, second)]
    assert all(n["cells"][0]["source"].endswith("The second edition.") for n in here)
    assert here[0]["cells"][-1]["source"] == "'a cell of mine'"


def test_what_cant_be_joined_is_the_students_with_the_new_one_beside_it(hub, work):
    """Git's hook in the configuration looks at it, with what tests/helpers/test_update.py tests."""
    alice = work["alice"].student
    first, hers, next_one = three_that_git_cant_join()
    folder = "seeing-pytorch/notebooks"
    nbformat.write(first, hub.course / "notebooks" / "07_joined.ipynb")
    commit(hub.course, "A chapter more")
    alice.pull("/user/alice/")
    alice.save(f"{folder}/07_joined.ipynb", hers)
    nbformat.write(next_one, hub.course / "notebooks" / "07_joined.ipynb")
    commit(hub.course, "Another edition of it")
    alice.pull("/user/alice/")
    names = [file["name"] for file in alice.contents(folder) if file["name"].startswith("07_")]
    own, new = sorted(names, key=len)
    assert re.fullmatch("07_joined_new_[0-9a-f]{7,}.ipynb", new)
    for name, expected in ((own, hers), (new, next_one)):
        cells = alice.contents(f"{folder}/{name}")["cells"]
        assert [cell["id"] for cell in cells] == [cell.id for cell in expected.cells]


def test_a_server_that_nobody_uses_ends_with_all_of_its_processes(hub, work):
    """The culler with the rights that the configuration gives it, but less patience."""
    running = hub.processes("alice") + hub.processes("bob")
    assert len(running) >= 8  # two servers, kernels and pages each
    environment = {"JUPYTERHUB_API_TOKEN": CULLER, "JUPYTERHUB_API_URL": f"{hub.address}/hub/api"}
    command = [sys.executable, "-m", "jupyterhub_idle_culler", "--timeout=1", "--cull-every=1"]
    time.sleep(1)
    culler = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        _, left = psutil.wait_procs(running, timeout=60)
        assert not left
    finally:
        culler.terminate()
        culler.wait(20)
