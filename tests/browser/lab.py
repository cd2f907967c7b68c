"""A JupyterLab server over copies of the chapters, and one notebook in its page."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
import psutil
from playwright.sync_api import Page

from tests.browser.conftest import PATIENCE
from tests.conftest import ROOT

SETTINGS = {
    # Otherwise cells outside the window aren't in the page, where a test could find them.
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"},
    # Otherwise a question about Jupyter's news covers a corner of the page.
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false"},
}

OPTIONS_OF_MAKE_LAB = re.findall(
    r"--LabApp\.(?!default_url)\S+", (ROOT / "Makefile").read_text(encoding="utf-8")
)


def copy_chapter(source: Path, folder: Path, **parameters: object) -> None:
    """Copy a notebook without its outputs into a folder, with other values of parameters."""
    notebook = nbformat.read(source, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
            cell.execution_count = None
        if "parameters" in cell.metadata.get("tags", []):
            for name, value in parameters.items():
                cell.source, found = re.subn(
                    rf"^{name} = .*$", f"{name} = {value!r}", cell.source, flags=re.M
                )
                assert found == 1, f"{source.name} has no parameter {name}"
    folder.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, folder / source.name)


@contextmanager
def jupyterlab(
    course: Path, home: Path, base_url: str = "/"
) -> Iterator[tuple[str, psutil.Process]]:
    """Serve a folder: the server's address and process. Afterwards none of its processes is left.

    What Jupyter keeps for a user (settings, history, running servers) lies in ``home``.
    """
    for name, settings in SETTINGS.items():
        path = home / "config" / "lab" / "user-settings" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(settings))
    # The environment of a JupyterHub or a plotting backend that the tests were given isn't meant.
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("JUPYTERHUB_SERVICE_PREFIX", "MPLBACKEND")
    } | {
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "IPYTHONDIR": str(home / "ipython"),
    }
    log = home / "server.log"
    with log.open("w") as output:
        server = psutil.Popen(
            [
                sys.executable,
                "-m",
                "jupyterlab",
                "--no-browser",
                "--allow-root",
                "--ServerApp.ip=127.0.0.1",
                "--ServerApp.port=0",
                f"--ServerApp.base_url={base_url}",
                "--IdentityProvider.token=",
                "--LabApp.expose_app_in_browser=True",
                "--LabApp.extension_manager=readonly",
                *OPTIONS_OF_MAKE_LAB,
            ],
            cwd=course,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        info = home / "runtime" / f"jpserver-{server.pid}.json"
        deadline = time.monotonic() + PATIENCE / 1000
        while not (info.exists() and info.read_text().endswith("}")):
            assert server.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield json.loads(info.read_text())["url"], server
    finally:
        family = server.children(recursive=True)
        server.terminate()
        _, left = psutil.wait_procs([server, *family], timeout=30)
        for process in left:
            process.kill()
    assert not left, f"still running after the server's end: {left}"


class Notebook:
    """A notebook open in JupyterLab's page."""

    def __init__(self, page: Page, address: str, path: str) -> None:
        self.page = page
        page.goto(f"{address}lab/tree/{path}?reset")
        page.wait_for_function(
            """() => {
                const context = window.jupyterapp?.shell?.currentWidget?.sessionContext;
                const kernel = context?.session?.kernel;
                return context?.isReady && kernel?.connectionStatus === "connected"
                    && kernel.status === "idle";
            }"""
        )
        self.cells = page.locator(".jp-Notebook .jp-CodeCell")

    def choose(self, menu: str, item: str) -> None:
        """Choose from the menu bar with the mouse."""
        self.page.get_by_role("menubar").get_by_text(menu, exact=True).click()
        self.page.get_by_role("menuitem", name=item, exact=True).click()

    def run_all(self) -> None:
        """Run all cells, and wait until none runs or waits: all are done, or one has failed.

        What the reader sees meanwhile in each cell is noted in every animation frame.
        """
        self.page.evaluate(WATCH_OUTPUTS)
        self.choose("Run", "Run All Cells")
        # Asked of the notebook's model, because a folded cell shows no prompt.
        self.page.wait_for_function(
            """() => {
                const cells = jupyterapp.shell.currentWidget.content.widgets
                    .map(cell => cell.model).filter(model => model.type === "code");
                return cells.some(model => model.executionCount)
                    && cells.every(model => model.executionState === "idle");
            }""",
            timeout=4 * PATIENCE,
        )

    def execution_counts(self) -> list[int | None]:
        """The number that each code cell has from its last run."""
        return self.page.evaluate(
            """() => jupyterapp.shell.currentWidget.content.widgets.map(cell => cell.model)
                .filter(model => model.type === "code").map(model => model.executionCount)"""
        )

    def seen(self) -> list[dict]:
        """For each code cell what was seen in its output, in order.

        ``pictures``: how many different ones; ``at_once``: the most in one moment; ``empty``:
        moments without a picture after the first had come; ``texts``: the last line of text.
        """
        return self.page.evaluate("() => window.seen.map(({sources, ...cell}) => cell)")

    def shut_down(self) -> None:
        """Shut down the kernel, by the menu."""
        self.choose("Kernel", "Shut Down Kernel")


WATCH_OUTPUTS = """() => {
    window.seen = [];
    const look = () => {
        document.querySelectorAll(".jp-Notebook .jp-CodeCell").forEach((cell, number) => {
            const seen = window.seen[number] ??=
                {pictures: 0, at_once: 0, empty: 0, texts: [], sources: new Set()};
            const images = [...cell.querySelectorAll(".jp-OutputArea-output img")]
                .filter(image => image.complete && image.naturalWidth > 0);
            images.forEach(image => seen.sources.add(image.src));
            seen.pictures = seen.sources.size;
            seen.at_once = Math.max(seen.at_once, images.length);
            if (seen.pictures && !images.length) seen.empty += 1;
            const text = [...cell.querySelectorAll(".jp-OutputArea-output pre")]
                .map(output => output.textContent).join("").trimEnd().split("\\n").at(-1);
            if (text && text !== seen.texts.at(-1)) seen.texts.push(text);
        });
        requestAnimationFrame(look);
    };
    look();
}"""
