"""A student in front of a hub, without a browser: logs in, opens links, runs code in a kernel."""

import contextlib
import html
import json
import re
import time
import uuid

import requests
import websocket

PATIENCE = 180
"""Seconds that a step may take on a busy machine; nothing waits without need."""


class Student:
    """Somebody with a browser session of their own at the hub at ``address``."""

    def __init__(self, address: str, name: str) -> None:
        self.address = address
        self.name = name
        self.session = requests.Session()
        self.session.trust_env = False  # no proxy leads here
        self.base = f"{address}/user/{name}/"

    def log_in(self, password: str) -> requests.Response:
        """Fill in the form; what comes of it, after all that it leads to."""
        page = f"{self.address}/hub/login"
        self.get(page)
        form = {"username": self.name, "password": password, "_xsrf": self._xsrf("/hub/")}
        return self.session.post(page, data=form, timeout=PATIENCE)

    def start_server(self) -> None:
        """Wait until the own server answers; the login has asked for it, or this does."""
        deadline = time.monotonic() + PATIENCE
        while True:
            self.get(f"{self.address}/hub/spawn/{self.name}")  # one that still stops is asked again
            reply = self.get(f"{self.base}lab")  # a page, which asks the hub who this is
            if reply.ok and reply.url.startswith(self.base):
                break
            assert time.monotonic() < deadline, f"{self.name}: {reply.status_code} {reply.url}"
            time.sleep(0.3)

    def get(self, address: str, **options: object) -> requests.Response:
        """Ask for an address of the hub, or a path of it."""
        address = f"{self.address}{address}" if address.startswith("/") else address
        return self.session.get(address, timeout=PATIENCE, **options)

    def pull(self, link: str) -> str:
        """Follow one of nbgitpuller's links as its page does; the address that it then opens."""
        page = self.get(link)
        page.raise_for_status()
        assert "/git-pull?" in page.url, page.url
        said = self.get(page.url.replace("/git-pull?", "/git-pull/api?")).text
        last = json.loads(said.strip().splitlines()[-1].removeprefix("data: "))
        assert last["phase"] == "finished", said
        path = re.search('data-path="(.*?)"', page.text).group(1)
        return html.unescape(f"/user/{self.name}/{path}")

    def contents(self, path: str) -> object:
        """The content of a file in the own home, as JupyterLab gets it."""
        reply = self.get(f"{self.base}api/contents/{path}")
        reply.raise_for_status()
        return reply.json()["content"]

    def save(self, path: str, notebook: dict) -> None:
        """Save a notebook, as JupyterLab does."""
        self.call("PUT", f"api/contents/{path}", {"type": "notebook", "content": notebook})

    def socket(self, path: str) -> websocket.WebSocket:
        """Open a websocket at a path of the hub, as a page of the hub would."""
        address = f"{self.address}{path}" if path.startswith("/") else path
        request = self.session.prepare_request(requests.Request("GET", address))
        return websocket.create_connection(
            address.replace("http", "ws", 1),
            timeout=PATIENCE,
            cookie=request.headers.get("Cookie"),
            origin=self.address,
        )

    def kernel(self, folder: str = "") -> "Kernel":
        """Start a kernel in a folder of the own home."""
        path = f"{folder}/any.ipynb" if folder else "any.ipynb"
        session = {
            "name": "any",
            "path": path,
            "type": "notebook",
            "kernel": {"name": "python3"},
        }
        return Kernel(self, self.call("POST", "api/sessions", session).json()["kernel"]["id"])

    def call(self, method: str, path: str, body: dict | None = None) -> requests.Response:
        """Ask the own server for something that changes it."""
        headers = {"X-XSRFToken": self._xsrf(f"/user/{self.name}/")}
        reply = self.session.request(
            method, self.base + path, json=body, headers=headers, timeout=PATIENCE
        )
        reply.raise_for_status()
        return reply

    def _xsrf(self, path: str) -> str:
        return next(c.value for c in self.session.cookies if (c.name, c.path) == ("_xsrf", path))


class Kernel:
    """A kernel of a student's server."""

    def __init__(self, student: Student, identity: str) -> None:
        self.identity = identity
        self.path = f"{student.base}api/kernels/{identity}/channels"
        self.student = student
        self.session = uuid.uuid4().hex

    def run(self, code: str) -> str:
        """What a cell prints; AssertionError, with its traceback, if it fails."""
        channel = self.student.socket(f"{self.path}?session_id={self.session}")
        message = uuid.uuid4().hex
        header = {"msg_id": message, "msg_type": "execute_request", "session": self.session}
        content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False}
        request = {"header": header | {"username": "", "version": "5.3"}, "content": content}
        rest = {"parent_header": {}, "metadata": {}, "channel": "shell", "buffers": []}
        with contextlib.closing(channel):
            channel.send(json.dumps(request | rest))
            text = ""
            while True:
                reply = json.loads(channel.recv())
                if reply["parent_header"].get("msg_id") != message:
                    continue
                content = reply["content"]
                assert reply["msg_type"] != "error", "\n".join(content["traceback"])
                if reply["msg_type"] == "stream":
                    text += content["text"]
                if content.get("execution_state") == "idle":
                    return text

    def shut_down(self) -> None:
        """End it, and with it the pages that it serves."""
        self.student.call("DELETE", f"api/kernels/{self.identity}")
