"""The edition for a class: the chapters without their solutions, and nothing else changed.

One chapter is run as a student gets it. That the others run follows from ``test_frame.py``, where
no cell needs a solution, and from here: each of their cells is the full edition's, which is run.
To run all six as well takes minutes; done by hand, all of them came to their end.
"""

import re
import subprocess
import sys

import nbformat
import papermill
import pytest

from tests.conftest import CHAPTERS, ROOT, SHORT_PARAMETERS
from tests.markdown import pictures

chapters = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)


@pytest.fixture(scope="module")
def student(tmp_path_factory):
    """The folder that is handed out."""
    folder = tmp_path_factory.mktemp("a class") / "student"
    folder.mkdir()
    (folder / "old.txt").touch()
    command = [sys.executable, ROOT / "docs" / "student.py", folder]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert str(folder) in printed
    return folder


def read(path):
    return nbformat.read(path, as_version=4)


def test_what_is_handed_out(student):
    assert {path.name for path in student.iterdir()} == {"notebooks", "helpers", "data"}
    assert sorted(path.name for path in (student / "notebooks").glob("*.ipynb")) == [
        path.name for path in CHAPTERS
    ]
    assert {path.name for path in (student / "data").iterdir()} >= {"mnist-sample", "clinic"}
    assert not (student / "data" / "outputs").exists()


@chapters
def test_a_copy_is_the_chapter_but_for_its_solutions(student, path):
    full, copy = read(path), read(student / "notebooks" / path.name)
    solutions = [c for c in full.cells if "solution" in c.metadata.get("tags", [])]
    assert len(solutions) >= 4
    assert copy.cells == [cell for cell in full.cells if cell not in solutions]
    assert copy.metadata == full.metadata
    nbformat.validate(copy)


@chapters
def test_its_pictures_and_its_links_are_there(student, path):
    for cell in read(student / "notebooks" / path.name).cells:
        if cell.cell_type != "markdown":
            continue
        for picture in pictures(cell.source):
            assert (student / "notebooks" / picture.target).is_file()
        for target in re.findall(r"(?<!!)\]\(([^)#]+)\)", cell.source):
            if not target.startswith("http"):
                assert (student / "notebooks" / target).is_file(), target


def test_a_copy_runs_to_its_end_with_the_helpers_beside_it(student, monkeypatch, tmp_path):
    """The first chapter, with nothing written into the empty cells."""
    path = student / "notebooks" / CHAPTERS[0].name
    notebook = read(path)
    notebook.cells.append(nbformat.v4.new_code_cell("import helpers\nprint(helpers.__path__[0])"))
    nbformat.write(notebook, path)
    monkeypatch.setenv("PYTHONPATH", str(student))
    run = papermill.execute_notebook(
        path,
        tmp_path / path.name,
        parameters=SHORT_PARAMETERS[path.stem] | {"output_dir": str(tmp_path / "out")},
        kernel_name="python3",
        cwd=path.parent,
        progress_bar=False,
    )
    outputs = [cell.get("outputs", []) for cell in run.cells]
    printed = ["".join(output.get("text", "") for output in found) for found in outputs]
    assert printed[-1].strip() == str(student / "helpers")
    checks = [text for text in printed if text.startswith("Exercise ")]
    stubs = [cell for cell in run.cells if "exercise" in cell.metadata.get("tags", [])]
    assert len(checks) == len(stubs) >= 4
    assert all("not tried yet" in text for text in checks)
