"""How long a reader waits: each chapter as it stands, through papermill, and its slowest cells.

python tests/benchmarks/course.py
"""

import tempfile
import time
from pathlib import Path

import papermill
from machine import describe_machine

NOTEBOOKS = Path(__file__).resolve().parent.parent.parent / "notebooks"


def run(path, folder):
    """Seconds that the chapter takes, and (seconds, first line) of each cell."""
    start = time.perf_counter()
    notebook = papermill.execute_notebook(
        path,
        folder / path.name,
        parameters={"output_dir": str(folder / path.stem)},
        kernel_name="python3",
        cwd=folder,
        progress_bar=False,
    )
    seconds = time.perf_counter() - start
    cells = [
        (cell.metadata.papermill.duration, cell.source.splitlines()[0])
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]
    return seconds, cells


def report(slowest=5):
    total, all_cells = 0, []
    with tempfile.TemporaryDirectory() as folder:
        for path in sorted(NOTEBOOKS.glob("*.ipynb")):
            seconds, cells = run(path, Path(folder))
            in_cells = sum(duration for duration, _ in cells)
            print(f"{path.stem:30} {seconds:6.1f} s, of which cells {in_cells:.1f} s")
            total += seconds
            all_cells += [(duration, path.stem[:2], line) for duration, line in cells]
    print(f"{'all chapters':30} {total:6.1f} s, target 120 s")
    for duration, chapter, line in sorted(all_cells, reverse=True)[:slowest]:
        print(f"    {duration:5.1f} s in chapter {chapter}: {line}")


if __name__ == "__main__":
    print(describe_machine())
    report()
