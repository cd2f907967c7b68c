"""The servers, as a chapter starts and stops them, and what goes wrong with servers."""

import html
import http.server
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import requests
import websocket
from tensorboardX import SummaryWriter

from helpers import servers
from helpers.servers import ServerError, TensorBoardServer, VisdomServer

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def logdir(tmp_path_factory):
    """A folder with one event file, of one scalar."""
    folder = tmp_path_factory.mktemp("log")
    with SummaryWriter(str(folder)) as writer:
        writer.add_scalar("loss", 0.5, 1)
    return folder


@pytest.fixture(params=["TensorBoardServer", "VisdomServer"])
def start(request, logdir, tmp_path):
    """A function that starts a server of either class; it is stopped after the test."""
    started = []

    def start(**options):
        if request.param == "TensorBoardServer":
            started.append(TensorBoardServer(logdir, **options))
        else:
            started.append(VisdomServer(tmp_path / "environments", **options))
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.fixture(scope="module")
def visdom(tmp_path_factory):
    """A Visdom server that serves many tests; each draws into an environment of its own."""
    with VisdomServer(tmp_path_factory.mktemp("environments")) as server:
        yield server


def process(server):
    return psutil.Process(server._process.pid)


def wait_until(condition, what):
    for _ in range(300):
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError(what)


@contextmanager
def other_web_server():
    """A web server that isn't Visdom, and answers everything with 200 and some text; its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"welcome")

        do_GET = do_POST = answer

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


# ---- both servers ----


def test_it_answers_as_soon_as_it_is_there_and_on_this_machine_only(start):
    server = start()
    assert requests.get(server.url).ok
    listening = [c for c in process(server).net_connections() if c.status == "LISTEN"]
    assert {(c.laddr.ip, c.laddr.port) for c in listening} == {("127.0.0.1", server.port)}


def test_stop_ends_the_process_and_frees_the_port_and_may_be_called_twice(start):
    server = start()
    running, port = process(server), server.port
    family = [running, *running.children(recursive=True)]
    server.stop()
    assert not running.is_running()
    _, alive = psutil.wait_procs(family, timeout=20)
    assert not alive
    socket.create_server(("127.0.0.1", port)).close()
    assert repr(server) == f"{type(server).__name__} stopped"
    assert "iframe" not in server._repr_html_()
    server.stop()


def test_leaving_a_block_stops_it_also_by_an_error(start):
    with pytest.raises(ZeroDivisionError), start() as server:
        assert server.is_running
        raise ZeroDivisionError
    assert not server.is_running


def test_two_run_side_by_side(start):
    first, second = start(), start()
    assert first.port != second.port
    first.stop()
    assert requests.get(second.url).ok


def test_the_page_is_shown_in_the_notebook_with_a_link(start):
    server = start()
    page = server._repr_html_()
    name = type(server).__name__.removesuffix("Server")
    assert f'<iframe src="{server.url}" title="{name}"' in page
    assert re.search(rf'<a href="{server.url}" target="_blank">[^<]*{name}', page)


def test_an_interrupted_cell_does_not_interrupt_it(start):
    server = start()
    assert os.getsid(process(server).pid) != os.getsid(0)


def test_a_server_that_died_is_known_to_be_dead(start):
    server = start()
    process(server).kill()
    server._process.wait()
    assert not server.is_running
    assert "stopped" in repr(server)
    server.stop()


def test_it_leaves_no_temporary_files(start, tmp_path, monkeypatch):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    start().stop()
    assert list(scratch.iterdir()) == []


def test_it_ends_with_a_kernel_that_is_killed(logdir, tmp_path):
    script = f"""
import sys, time
from helpers.servers import TensorBoardServer, VisdomServer
servers = [TensorBoardServer({str(logdir)!r}), VisdomServer({str(tmp_path / "environments")!r})]
print(*[server._process.pid for server in servers], flush=True)
time.sleep(600)
"""
    kernel = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    running = [psutil.Process(int(pid)) for pid in kernel.stdout.readline().split()]
    assert len(running) == 2
    running += [child for one in running for child in one.children(recursive=True)]
    kernel.send_signal(signal.SIGKILL)
    kernel.communicate()
    _, alive = psutil.wait_procs(running, timeout=20)
    assert not alive


def test_a_start_that_takes_for_ever_is_given_up(monkeypatch, start):
    monkeypatch.setattr(servers, "START_TIMEOUT", 0.01)
    before = psutil.Process().children()
    with pytest.raises(ServerError, match="didn't start: it said nothing for 0 s"):
        start()
    assert psutil.Process().children() == before


def test_importing_the_servers_is_cheap():
    script = "import sys, helpers.servers; print({'torch', 'visdom', 'numpy'} & set(sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert result.stdout.strip() == "set()"


# ---- behind a Jupyter server with a base URL ----


@pytest.fixture(scope="module")
def jupyter(tmp_path_factory):
    """A Jupyter server with jupyter-server-proxy under /user/x/: its address."""
    home = tmp_path_factory.mktemp("jupyter")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root"]
    options = [
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0",
        "--ServerApp.base_url=/user/x/",
        "--IdentityProvider.token=",
        "--ServerApp.jpserver_extensions={'jupyter_server_proxy': True}",
    ]
    names = ("config", "data", "runtime")
    folders = {f"JUPYTER_{name.upper()}_DIR": str(home / name) for name in names}
    with (home / "log").open("w") as log:
        running = subprocess.Popen(
            [*command, *options], env=os.environ | folders, stdout=log, stderr=log, cwd=home
        )
        try:
            address = f"http://127.0.0.1:{port}"
            wait_until(lambda: answers(f"{address}/user/x/api"), (home / "log").read_text())
            yield address
        finally:
            running.terminate()
            running.wait(20)


def answers(address):
    try:
        return requests.get(address).ok
    except requests.ConnectionError:
        return False


@pytest.fixture
def behind_jupyter(monkeypatch):
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/user/x/")


def test_the_page_works_through_the_proxy(jupyter, behind_jupyter, start):
    server = start()
    assert server.url == f"/user/x/proxy/absolute/{server.port}/"
    page = requests.get(jupyter + server.url)
    assert page.ok
    links = [link for link in links_of(page.text) if not link.startswith(("data:", "#"))]
    assert len(links) >= 1
    for link in links:
        address = requests.compat.urljoin(jupyter + server.url, html.unescape(link))
        assert address.startswith(jupyter + "/user/x/"), link
        assert requests.get(address).ok, link


def test_visdoms_socket_and_client_work_behind_the_proxy(jupyter, behind_jupyter, tmp_path):
    with VisdomServer(tmp_path) as server:
        client = server.client(env="far")
        client.text("hello", win="greeting")
        assert requests.get(f"{jupyter}{server.url}env/far").ok
        socket_address = jupyter.replace("http", "ws") + server.url + "socket"
        browser = websocket.create_connection(socket_address, timeout=20)
        session = json.loads(browser.recv())
        assert session["command"] == "register"
        requests.post(
            f"{jupyter}{server.url}env/far", data=json.dumps({"sid": session["data"]})
        ).raise_for_status()
        messages = [json.loads(browser.recv()) for _ in range(4)]
        browser.close()
        (window,) = [message for message in messages if message.get("command") == "window"]
        assert window["content"] == "hello"


def test_the_login_page_works_through_the_proxy(jupyter, behind_jupyter, tmp_path):
    with VisdomServer(tmp_path, login=("me", "secret")) as server:
        client = server.client()
        address = jupyter + server.url
        browser = requests.Session()
        page = browser.get(address).text
        (target,) = re.findall(r"url: '(.*)'", page)
        assert target == server.url.rstrip("/")
        user = {"username": client.username, "password": client.password}
        assert browser.post(jupyter + target, json=user).ok
        assert "inputPassword" in page
        assert "inputPassword" not in browser.get(jupyter + target).text


@pytest.mark.parametrize(
    ("running", "prefix"),
    [
        ({"hostname": "127.0.0.1", "base_url": "/"}, ""),
        ({"hostname": "localhost", "base_url": "/lab1/"}, "/lab1/proxy/absolute/{port}/"),
        ({"hostname": "0.0.0.0", "base_url": "/"}, "/proxy/absolute/{port}/"),
        ({"hostname": "localhost", "base_url": "/lab1/", "pid": -1}, ""),
    ],
)
def test_the_prefix_is_that_of_the_jupyter_server_that_started_this_kernel(
    monkeypatch, running, prefix
):
    from jupyter_server import serverapp

    monkeypatch.delenv("JUPYTERHUB_SERVICE_PREFIX", raising=False)
    listed = [{"pid": os.getppid()} | running]
    monkeypatch.setattr(serverapp, "list_running_servers", lambda: listed)
    assert servers._proxy_prefix() == prefix


# ---- TensorBoard ----


def test_tensorboard_serves_the_folder(logdir):
    with TensorBoardServer(logdir) as server:
        address = f"{server.url}data/plugin/scalars/tags"
        wait_until(lambda: "loss" in requests.get(address).text, "no tag")


def test_tensorboard_needs_a_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="train first"):
        TensorBoardServer(tmp_path / "nothing")


# ---- Visdom ----


def links_of(page):
    page = re.sub("<!--.*?-->", "", page, flags=re.S)
    return re.findall(r'(?:src|href)=["\']?([^"\'\s>]+)', page)


def test_visdoms_page_and_all_its_parts_are_there(visdom):
    page = requests.get(visdom.url)
    assert page.ok
    parts = [link for link in links_of(page.text) if "/static/" in link]
    assert len(parts) >= 15
    for part in parts:
        reply = requests.get(requests.compat.urljoin(visdom.url, part))
        assert reply.ok, part
        assert reply.content or part.endswith("/user/style.css"), part


def test_what_a_client_draws_can_be_read_back(visdom):
    client = visdom.client(env="drawn")
    assert client.line([1.0, 4.0, 9.0], X=[1, 2, 3], win="squares") == "squares"
    (trace,) = json.loads(client.get_window_data("squares"))["content"]["data"]
    assert (trace["x"], trace["y"]) == ([1, 2, 3], [1.0, 4.0, 9.0])
    assert {"main", "drawn"} <= set(client.get_env_list())


def test_saved_windows_survive_a_restart_and_others_do_not(tmp_path):
    with VisdomServer(tmp_path) as server:
        client = server.client()
        for env in ("main", "kept", "lost"):
            client.text("hello", win="greeting", env=env)
        assert json.loads(client.save(["main", "kept"])) == ["main", "kept"]
    with VisdomServer(tmp_path) as server:
        client = server.client()
        assert sorted(client.get_env_list()) == ["kept", "main"]
        client.save(["kept", "main"])  # without a look at them: they mustn't be emptied
    with VisdomServer(tmp_path) as server:
        window = json.loads(server.client().get_window_data("greeting", env="kept"))
        assert window["content"] == "hello"


def test_it_writes_nothing_outside_its_folder(tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("TMPDIR", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home))
    with VisdomServer(tmp_path / "environments", login=("me", "secret")) as server:
        server.client().save(["main"])
    assert list(home.iterdir()) == []


def test_a_port_may_be_asked_for(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with VisdomServer(tmp_path, port=port) as server:
        assert server.port == port
        with pytest.raises(ServerError, match=f"port {port}.*A Visdom server.*leave out port="):
            VisdomServer(tmp_path, port=port)
        assert server.client().check_connection()


def test_a_port_that_another_web_server_has(tmp_path):
    with other_web_server() as port, pytest.raises(ServerError, match="Another web server"):
        VisdomServer(tmp_path, port=port)


def test_a_port_that_another_program_has(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ServerError, match=r"in use.*Another program"):
            VisdomServer(tmp_path, port=port)


def test_a_client_says_in_a_sentence_that_the_server_died(tmp_path):
    with VisdomServer(tmp_path) as server:
        client = server.client()
        process(server).kill()
        server._process.wait()
        with pytest.raises(ServerError, match="doesn't answer: it was stopped, or died") as info:
            client.text("anyone there?")
        assert info.value.__suppress_context__
        assert "saved is there again" in str(info.value)
        with pytest.raises(ServerError, match="stopped, or died"):
            server.client()


def test_a_client_notices_another_web_server(visdom, monkeypatch):
    with other_web_server() as port:
        monkeypatch.setattr(visdom, "port", port)
        with pytest.raises(ServerError, match=f"{port} isn't Visdom"):
            visdom.client()


def test_the_client_says_what_visdom_refuses(visdom):
    with pytest.raises(ServerError, match=r"refuses 'win_data'.*is there a window"):
        visdom.client().get_window_data("never drawn")


def test_clients_end_with_the_server(tmp_path):
    with VisdomServer(tmp_path) as server:
        client = server.client()
        assert client.socket_thread.is_alive()
    client.socket_thread.join(20)
    assert not client.socket_thread.is_alive()


def test_nothing_is_printed_when_a_server_comes_and_goes(tmp_path):
    script = f"""
import time
from helpers.servers import VisdomServer
with VisdomServer({str(tmp_path)!r}) as server:
    client = server.client()
    client.text("hello")
time.sleep(4)  # when a client would try to connect again
"""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, cwd=ROOT
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_a_damaged_environment_is_named_before_it_is_lost(tmp_path):
    for content in ("", '{"jsons": {', "[]", '{"jsons": {}}'):
        (tmp_path / "main.json").write_text(content)
        with pytest.raises(ServerError, match=r"main\.json is damaged"):
            VisdomServer(tmp_path)
        assert (tmp_path / "main.json").read_text() == content


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "environments").touch()
    with pytest.raises(FileExistsError, match="environments"):
        VisdomServer(tmp_path / "environments")


def test_a_part_of_the_page_that_is_missing_or_empty(tmp_path, monkeypatch):
    import shutil

    from helpers import visdom_assets

    broken = tmp_path / "page"
    shutil.copytree(visdom_assets.page_folder(), broken)
    monkeypatch.setattr(visdom_assets, "page_folder", lambda: broken)
    (broken / "js" / "jquery.min.js").write_bytes(b"")
    with pytest.raises(ServerError, match=r"jquery.*is empty"):
        VisdomServer(tmp_path / "environments")
    (broken / "js" / "jquery.min.js").unlink()
    with pytest.raises(ServerError, match=r"404 at .*jquery"):
        VisdomServer(tmp_path / "environments")


def test_without_its_page_the_api_works(tmp_path, monkeypatch):
    from helpers import visdom_assets

    def page_folder():
        raise visdom_assets.AssetsError("can't be had")

    monkeypatch.setattr(visdom_assets, "page_folder", page_folder)
    with pytest.raises(visdom_assets.AssetsError):
        VisdomServer(tmp_path)
    with VisdomServer(tmp_path, page=False) as server:
        client = server.client()
        client.text("hello", win="greeting")
        assert client.win_exists("greeting")
        assert "without its page" in server._repr_html_()


# ---- Visdom with a login ----


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    with VisdomServer(tmp_path_factory.mktemp("guarded"), login=("me", "pass word")) as server:
        yield server


def test_with_a_login_others_are_kept_out(guarded):
    guarded.client().text("private", win="note")
    data = json.dumps({"win": None, "eid": "main"})
    for what in ("win_data", "win_exists", "save", "env_state", "events", "update"):
        reply = requests.post(guarded.url + what, data=data)
        assert reply.status_code in (400, 401), what
        assert "private" not in reply.text
    page = requests.get(guarded.url).text
    assert "inputPassword" in page
    assert "private" not in page
    address = guarded.url.replace("http", "ws")
    for what in ("socket", "vis_socket"):
        intruder = websocket.create_connection(address + what, timeout=20)
        assert intruder.recv() == ""  # closed at once
        intruder.close()


def test_with_a_login_the_client_draws_and_hears(guarded):
    client = guarded.client()
    heard = threading.Event()
    client.register_event_handler(lambda event: heard.set(), "note")
    client.text("private", win="note")
    browser = requests.Session()
    # What the login page sends: the name, and the password's SHA-256.
    user = {"username": client.username, "password": client.password}
    assert browser.post(guarded.url, json=user).ok
    assert "inputPassword" not in browser.get(guarded.url).text
    cookie = "user_password=" + browser.cookies["user_password"]
    page = websocket.create_connection(
        guarded.url.replace("http", "ws") + "socket", timeout=20, cookie=cookie
    )
    press = {"event_type": "KeyPress", "key": "a", "target": "note", "eid": "main"}
    page.send(json.dumps({"cmd": "forward_to_vis", "data": press}))
    assert heard.wait(20)
    page.close()


def test_a_wrong_password_is_refused_in_a_sentence(guarded, monkeypatch):
    monkeypatch.setattr(guarded, "_login", ("me", "guess"))
    with pytest.raises(ServerError, match="refuses the name or the password"):
        guarded.client()


def test_the_password_is_where_no_other_user_can_read_it(guarded):
    family = [process(guarded), *process(guarded).children(recursive=True)]
    for one in family:
        assert "pass word" not in " ".join(one.cmdline())
        assert "pass word" not in " ".join(one.environ().values())
    assert "pass word" not in guarded._repr_html_() + repr(guarded)


@pytest.mark.parametrize("login", [("me", ""), ("", "secret")])
def test_an_empty_name_or_password_is_no_login(tmp_path, login):
    with pytest.raises(ValueError, match="neither of them empty"):
        VisdomServer(tmp_path, login=login)


def test_the_proxys_environment_is_left_out_of_it(tmp_path, monkeypatch):
    """A proxy for the web, as many networks have, leads nowhere near this machine."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with VisdomServer(tmp_path) as server:
        assert server.client().text("hello", win="greeting") == "greeting"
    assert "http" in urllib.request.getproxies()
