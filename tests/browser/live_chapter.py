"""A chapter run in a kernel that stays alive, so that its server's page can be looked at."""

import re
import threading
from pathlib import Path

import nbformat
from nbclient import NotebookClient

PATIENCE = 240
"""Seconds that a chapter may take on a busy machine."""


class LiveChapter:
    """Runs a chapter in a thread of its own, up to a cell that waits, and on to the end.

    ``gate`` is a text: the first cell that contains it isn't run before ``go_on()``.
    """

    def __init__(self, path: Path, output_dir: Path, gate: str, **parameters: object) -> None:
        self.notebook = nbformat.read(path, as_version=4)
        (cell,) = [c for c in self.notebook.cells if "parameters" in c.metadata.get("tags", [])]
        for name, value in (parameters | {"output_dir": str(output_dir)}).items():
            cell.source += f"\n{name} = {value!r}"
        self._folder = path.parent
        self._gate = gate
        self._at_gate, self._go = threading.Event(), threading.Event()
        self._ran, self._leave = threading.Event(), threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        client = NotebookClient(
            self.notebook,
            timeout=PATIENCE,
            kernel_name="python3",
            resources={"metadata": {"path": str(self._folder)}},
        )
        try:
            with client.setup_kernel():
                for index, cell in enumerate(self.notebook.cells):
                    if cell.cell_type == "code" and self._gate in cell.source:
                        self._at_gate.set()
                        self._go.wait()
                    client.execute_cell(cell, index)
                self._ran.set()
                self._leave.wait()
        except BaseException as error:
            self._error = error
        finally:
            self._at_gate.set()
            self._ran.set()

    def _wait(self, event: threading.Event) -> None:
        assert event.wait(PATIENCE), "the chapter takes too long"
        if self._error:
            raise self._error

    def wait_at_gate(self) -> None:
        self._wait(self._at_gate)

    def go_on(self) -> None:
        self._go.set()

    def finish(self) -> None:
        """Wait until the last cell has run; the kernel goes on living."""
        self._wait(self._ran)

    @property
    def is_running(self) -> bool:
        return not self._ran.is_set()

    def address(self, server: str) -> str:
        """The address that a cell's output gave of a server, by the name of its class."""
        for cell in self.notebook.cells:
            for output in cell.get("outputs", []):
                text = output.get("data", {}).get("text/plain", "")
                if found := re.fullmatch(rf"{server} at (\S+)", text):
                    return found[1]
        raise AssertionError(f"no cell shows a {server}")

    def close(self) -> None:
        self._go.set()
        self._leave.set()
        self._thread.join(60)
        assert not self._thread.is_alive()
