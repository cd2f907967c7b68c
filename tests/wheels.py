"""Tiny wheels in place of large ones, and an index of them on loopback in place of PyPI."""

import hashlib
import urllib.parse
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread


def make_wheel(
    folder: Path, name: str, version: str, tag: str = "py3-none-any", requires: tuple = ()
) -> Path:
    """Write a wheel with a module that says its version, and nothing else; returns its path."""
    info = f"{name}-{version}.dist-info"
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Dist: {other}" for other in requires]
    content = {
        f"{name}.py": f"__version__ = {version!r}\n",
        f"{info}/METADATA": "\n".join(lines) + "\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    content[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*content, f"{info}/RECORD"])
    path = folder / f"{name}-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for target, text in content.items():
            archive.writestr(target, text)
    return path


@contextmanager
def serve(handle: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """Serve on loopback; ``handle(request)`` answers a GET. Yields the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            handle(self)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class Index:
    """The packages in a folder, as an index. ``asked`` are the paths it was asked for."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.folder, self.asked, self.address = folder, [], ""
        self.hashes: dict[str, str] = {}
        """By file name, what the index promises in place of the file's own SHA-256."""

    def page(self, name: str) -> bytes:
        """A package's page; empty if there is no such package."""
        links = []
        for path in sorted(self.folder.glob(f"{name.replace('-', '_')}-*.*")):
            digest = self.hashes.get(path.name) or hashlib.sha256(path.read_bytes()).hexdigest()
            # As PyTorch's index writes them: the plus sign quoted, at another folder.
            address = f"/files/{urllib.parse.quote(path.name)}#sha256={digest}"
            links.append(f'<a href="{address}" data-requires-python="&gt;=3.10">{path.name}</a>')
        return "\n".join(links).encode()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        self.asked.append(request.path)
        name = urllib.parse.unquote(request.path.rstrip("/").rpartition("/")[2])
        file = self.folder / name
        body = file.read_bytes() if file.is_file() else self.page(name)
        request.send_response(200 if body else 404)
        if not file.is_file():
            request.send_header("Content-Type", "text/html")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)


@contextmanager
def index(folder: Path) -> Iterator[Index]:
    """An index of what lies in a folder, on loopback."""
    it = Index(folder)
    with serve(it.answer) as it.address:
        yield it
