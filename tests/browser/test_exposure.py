"""A page of another origin, in the same browser as ours, that tries to read and to delete."""

import http.server
import json
import threading

import pytest
import requests
from playwright.sync_api import expect
from tensorboardX import SummaryWriter

from helpers.pages import server as page_server
from helpers.tensorboard import TensorBoardServer
from helpers.visdom import VisdomServer

EXPECTED_PROBLEMS = {
    r"^403: ": "what the foreign page asks for is refused",
    r"^net::ERR_(FAILED|ABORTED|BLOCKED_BY)": "and the browser keeps the answer from that page",
}

ATTACK = """async address => {
    const got = {};
    got.socket = await new Promise(done => {
        const socket = new WebSocket(address.replace("http", "ws") + "socket");
        socket.onmessage = event => done(event.data);
        socket.onopen = () => socket.send(JSON.stringify({cmd: "delete_env", eid: "main"}));
        socket.onerror = socket.onclose = () => done("refused");
    });
    // As a form would: sent without a question beforehand, its answer not to be read.
    await fetch(address + "delete_env",
        {method: "POST", mode: "no-cors", body: JSON.stringify({eid: "main"})}).catch(() => {});
    got.read = await fetch(address + "env_state", {method: "POST", body: "{}"})
        .then(reply => reply.text()).catch(() => "refused");
    return got;
}"""


@pytest.fixture
def foreign_page(page):
    """A page that another server of this machine has, under a name of its own."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<title>foreign</title>")

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page.goto(f"http://localhost:{server.server_port}/")
        yield page
        server.shutdown()


@pytest.fixture
def visdom(tmp_path):
    with VisdomServer(tmp_path) as server:
        server.client().text("private", win="note")
        server.client().text("private", win="note", env="other")
        yield server


def test_a_foreign_page_reads_and_deletes_nothing(foreign_page, visdom):
    got = foreign_page.evaluate(ATTACK, visdom.url)
    assert got == {"socket": "refused", "read": "refused"}
    assert json.loads(requests.post(visdom.url + "env_state", data="{}").text) == ["main", "other"]
    assert "private" in visdom.client().get_window_data("note")


def test_a_name_that_was_led_to_this_machine_reads_nothing(page, visdom, tmp_path):
    """DNS rebinding: evil.example leads to 127.0.0.1 in this Chromium, so the origin is its own."""
    with SummaryWriter(str(tmp_path / "log")) as writer:
        writer.add_scalar("private", 0.5, 1)
    with TensorBoardServer(tmp_path / "log") as board:
        for server, asked in ((visdom, "env_state"), (board, "data/environment")):
            page.goto(f"http://evil.example:{server.port}/")
            expect(page.locator("body")).to_have_text(
                f"This page isn't called 'evil.example:{server.port}' but 127.0.0.1."
            )
            read = "what => fetch(what, {method: 'POST', body: '{}'}).then(reply => reply.text())"
            assert "private" not in page.evaluate(read, f"/{asked}")
            page.goto(server.url.replace("127.0.0.1", "localhost"))
            expect(page.locator("button, app-header").first).to_be_visible()


@pytest.mark.parametrize("by_user", [True, False])
def test_the_own_pages_work(watched_page, monkeypatch, tmp_path, by_user):
    """With the secret in the address too, as where the system doesn't tell users apart."""
    monkeypatch.setattr(page_server, "knows_users", lambda: by_user)
    with SummaryWriter(str(tmp_path / "log")) as writer:
        for step in range(20):
            writer.add_scalar("loss", 1 / (step + 1), step)
    page = watched_page()
    with VisdomServer(tmp_path / "environments") as server:
        client = server.client()
        client.line([1.0, 3.0, 2.0], win="line", opts={"title": "a line"})
        page.goto(server.url)
        expect(page.locator("button.btn-success")).to_have_text("online")
        expect(page.locator(".js-plotly-plot .main-svg").first).to_be_visible()
        client.text("later", win="later")
        expect(page.locator(".content-text")).to_have_text("later")
        page.screenshot(path=tmp_path / "visdom.png")
        page.goto("about:blank")
    with TensorBoardServer(tmp_path / "log") as board:
        page.goto(board.url)
        card = page.locator("scalar-card", has_text="loss")
        expect(card.locator("line-chart canvas")).to_be_visible()
        page.screenshot(path=tmp_path / "tensorboard.png")
