"""Execute chapters in place and normalize what differs between runs.

    python tests/run_notebooks.py                 # every chapter
    python tests/run_notebooks.py notebooks/02*   # these

A rerun with nothing changed should leave `git diff` empty.
"""

import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import tests.arithmetic  # noqa: E402, F401

NOTEBOOKS = ROOT / "notebooks"
SWEEP = ROOT / "data" / "outputs" / "06_many_runs" / "mnist-sample"
"""Where chapter 6 keeps the runs that have ended, and takes them from in the next reading."""
ADDRESS = re.compile(r"\b0x[0-9a-f]{6,16}\b")
PORT = re.compile(r"\b(127\.0\.0\.1|localhost):\d+")


def overwrite(text: str) -> str:
    """What a terminal shows of text with carriage returns: a progress bar's last state."""
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))


def normalize_text(text: str) -> str:
    """Text without addresses in memory and without the port that happened to be free."""
    return PORT.sub(r"\1:PORT", ADDRESS.sub("0x...", text))


def normalize(notebook: nbformat.NotebookNode) -> None:
    """Remove from a notebook what would differ in the next run of the same chapter."""
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {
                "display_name": "Python 3 (ipykernel)",
                "language": "python",
                "name": "python3",
            },
            "language_info": {"name": "python", "file_extension": ".py"},
        }
    )
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:02}"
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", []):
            if output.output_type == "stream":
                output.text = normalize_text(overwrite(output.text))
            for mime, value in output.get("data", {}).items():
                if mime.startswith("text/") and isinstance(value, str):
                    output.data[mime] = normalize_text(value)
        merge_streams(cell)


def merge_streams(cell: nbformat.NotebookNode) -> None:
    """Join neighbouring pieces of one stream: how it was cut up depends on the time it took."""
    merged = []
    for output in cell.get("outputs", []):
        last = merged[-1] if merged else None
        if last and output.output_type == last.output_type == "stream" and output.name == last.name:
            last.text += output.text
        else:
            merged.append(output)
    if "outputs" in cell:
        cell.outputs = merged


@contextmanager
def as_if_new(kept: Path = SWEEP) -> Iterator[None]:
    """Meanwhile ``kept`` isn't there, as in a new clone; afterwards it is as it was.

    Else chapter 6 would show, and be compared by, what an earlier reading came to.
    """
    aside = None
    if kept.exists():
        aside = Path(tempfile.mkdtemp(prefix=f"{kept.name}-aside-", dir=kept.parent))
        kept.rename(aside / kept.name)
    try:
        yield
    finally:
        shutil.rmtree(kept, ignore_errors=True)
        if aside:
            (aside / kept.name).rename(kept)
            aside.rmdir()


def main(paths: list[Path]) -> None:
    for path in paths or sorted(NOTEBOOKS.glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        client = NotebookClient(
            notebook,
            timeout=600,
            kernel_name="python3",
            resources={"metadata": {"path": str(path.parent)}},
            record_timing=False,
            coalesce_streams=True,
        )
        print(f"running {path.name}", flush=True)
        try:
            client.execute()
        except CellExecutionError as error:
            raise SystemExit(f"{path.name} stopped; nothing was written.\n{error}") from None
        normalize(notebook)
        nbformat.write(notebook, path)


if __name__ == "__main__":
    with as_if_new():
        main([Path(argument) for argument in sys.argv[1:]])
