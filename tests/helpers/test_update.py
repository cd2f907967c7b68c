"""The next edition, over what a reader did: a teacher's copy, a published one, a reader's clone."""

import os
import shutil
import subprocess
import sys

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from helpers.update import UpdateError, mend, update
from tests.conftest import ROOT
from tests.git import commit, git, three_that_git_cant_join
from tests.made import MAKE, add_make, set_up_already

ONE, TWO = "notebooks/01_one.ipynb", "notebooks/02_two.ipynb"


def chapter(*sources):
    """A notebook whose cells have an output each, and enough lines between what may change."""
    cells = [new_markdown_cell("# A chapter\n\nIts first sentence.", id="title")]
    for number, source in enumerate(sources):
        output = new_output("stream", text=f"{number}: stored\n")
        cells.append(new_code_cell(source, id=f"code-{number}", outputs=[output]))
        cells[-1].execution_count = number + 1
        cells.append(new_markdown_cell(f"What {number} shows.", id=f"text-{number}"))
    return new_notebook(cells=cells)


@pytest.fixture
def teacher(tmp_path, monkeypatch):
    """The teacher's folder, which is published in a bare repository."""
    for name in ("GIT_DIR", "GIT_WORK_TREE"):
        monkeypatch.delenv(name, raising=False)
    # A reader's git knows nobody's name.
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, os.devnull)
    folder = tmp_path / "teacher"
    (folder / "notebooks").mkdir(parents=True)
    for name in (ONE, TWO):
        nbformat.write(chapter("a = 1", "b = 2", "c = 3"), folder / name)
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=main", "published")
    git(folder, "remote", "add", "origin", str(tmp_path / "published"))
    publish(folder)
    return folder


@pytest.fixture(params=["a clone", "a shallow clone"])
def reader(teacher, tmp_path, request):
    """A reader's clone, made on a laptop or by nbgitpuller."""
    depth = ["--depth=1"] if request.param == "a shallow clone" else []
    published = (tmp_path / "published").as_uri()
    git(tmp_path, "clone", "--quiet", *depth, published, "reader")
    return tmp_path / "reader"


def publish(teacher):
    commit(teacher, "An edition")
    git(teacher, "push", "--quiet", "origin", "main")


def edit(folder, name, change):
    """Change a notebook, as JupyterLab writes it."""
    notebook = nbformat.read(folder / name, as_version=4)
    change(notebook.cells)
    nbformat.write(notebook, folder / name)


def cells(folder, name):
    """A notebook's cells by their ids; it is one that JupyterLab opens."""
    notebook = nbformat.read(folder / name, as_version=4)
    nbformat.validate(notebook)
    return {cell.id: cell for cell in notebook.cells}


def newer(cells):
    """What the teacher did to a chapter: a sentence, and a cell at its end."""
    cells[0].source += " And one of the second edition."
    cells.append(new_markdown_cell("A new ending.", id="ending"))


def run(cells):
    """What Run All does to a chapter on another machine."""
    for cell in cells:
        if cell.cell_type == "code":
            cell.outputs[0].text = cell.outputs[0].text.replace("stored", "mine")


def test_a_copy_that_nobody_changed_becomes_the_new_edition(teacher, reader):
    (said,) = update(reader)
    assert said.startswith("This is the newest edition already, ")
    edit(teacher, ONE, newer)
    publish(teacher)
    (said,) = update(reader)
    assert said.startswith("This is the newest edition now, ") and said.endswith("An edition")
    assert (reader / ONE).read_bytes() == (teacher / ONE).read_bytes()
    assert git(reader, "status", "--porcelain") == ""


def test_git_alone_refuses(teacher, reader):
    """What this is for."""
    edit(reader, ONE, run)
    edit(teacher, ONE, newer)
    publish(teacher)
    pulled = subprocess.run(["git", "pull"], cwd=reader, capture_output=True, text=True)
    assert pulled.returncode != 0
    assert "would be overwritten by merge" in pulled.stderr


def change_a_cell(cells):
    cells[3].source += "  # a remark of mine"


def add_a_cell(cells):
    cells.insert(4, new_code_cell("'a cell of mine'", id="mine"))


CHANGES = {"a changed cell": change_a_cell, "a new cell": add_a_cell, "new outputs": run}


@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
def test_a_chapter_that_only_the_reader_changed_stays_to_the_byte(teacher, reader, change):
    edit(reader, ONE, change)
    mine = (reader / ONE).read_bytes()
    edit(teacher, TWO, newer)
    publish(teacher)
    assert update(reader)[-1] == f"With changes of yours: {ONE}"
    assert (reader / ONE).read_bytes() == mine
    assert (reader / TWO).read_bytes() == (teacher / TWO).read_bytes()


@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
def test_a_chapter_that_both_changed_has_the_changes_of_both(teacher, reader, change):
    edit(reader, ONE, change)
    mine = (reader / ONE).read_bytes()
    expected = cells(reader, ONE)
    edit(teacher, ONE, newer)
    publish(teacher)
    assert update(reader)[-1] == f"With changes of yours: {ONE}"
    now = cells(reader, ONE)
    assert now.pop("ending").source == "A new ending."
    assert now["title"].source.endswith("And one of the second edition.")
    now["title"] = expected["title"]
    assert now == expected
    # And what the reader had is kept whole.
    assert git(reader, "show", f"HEAD^1:{ONE}").encode() == mine


def test_where_both_changed_a_line_the_readers_stays(teacher, reader):
    edit(reader, ONE, lambda cells: setattr(cells[3], "source", "b = 'mine'"))
    edit(teacher, ONE, lambda cells: (setattr(cells[3], "source", "b = 'new'"), newer(cells)))
    publish(teacher)
    update(reader)
    now = cells(reader, ONE)
    assert now["code-1"].source == "b = 'mine'"
    assert now["ending"].source == "A new ending."
    # The teacher's, whole, comes to who moves the own one away.
    (reader / ONE).rename(reader / "notebooks" / "mine.ipynb")
    update(reader)
    assert (reader / ONE).read_bytes() == (teacher / ONE).read_bytes()
    assert cells(reader, "notebooks/mine.ipynb")["code-1"].source == "b = 'mine'"


def test_one_edition_after_another_comes_over_the_same_changes(teacher, reader):
    edit(reader, ONE, add_a_cell)
    for edition in ("second", "third", "fourth"):
        edit(teacher, ONE, lambda cells, e=edition: setattr(cells[2], "source", f"The {e}."))
        publish(teacher)
        edit(reader, TWO, run)
        update(reader)
        now = cells(reader, ONE)
        assert now["text-0"].source == f"The {edition}."
        assert now["mine"].source == "'a cell of mine'"
    assert "mine" in cells(reader, TWO)["code-0"].outputs[0].text


def test_files_of_the_readers_stay_and_one_in_the_way_gets_another_name(teacher, reader):
    (reader / "notebooks" / "03_three.ipynb").write_text("mine")
    (reader / "notebooks" / "notes.txt").write_text("mine too")
    nbformat.write(chapter("new"), teacher / "notebooks" / "03_three.ipynb")
    publish(teacher)
    said = update(reader)
    assert said[0].startswith("Renamed")
    (renamed,) = (reader / "notebooks").glob("03_three__*.ipynb")
    assert renamed.read_text() == "mine"
    assert (reader / "notebooks" / "notes.txt").read_text() == "mine too"
    assert cells(reader, "notebooks/03_three.ipynb")["code-0"].source == "new"


def test_a_chapter_that_is_gone_stays_with_who_changed_it(teacher, reader):
    edit(reader, ONE, change_a_cell)
    (teacher / ONE).unlink()
    publish(teacher)
    update(reader)
    assert cells(reader, ONE)["code-1"].source == "b = 2  # a remark of mine"


def test_into_a_chapter_that_has_another_name_the_changes_go_along(teacher, reader):
    edit(reader, ONE, add_a_cell)
    (teacher / ONE).rename(teacher / "notebooks" / "01_first.ipynb")
    publish(teacher)
    update(reader)
    assert cells(reader, "notebooks/01_first.ipynb")["mine"].source == "'a cell of mine'"


def test_what_cant_be_joined_stays_the_readers_and_the_new_one_is_beside_it(teacher, reader):
    first, readers, next_one = three_that_git_cant_join()
    nbformat.write(first, teacher / ONE)
    publish(teacher)
    update(reader)
    nbformat.write(readers, reader / ONE)
    nbformat.write(next_one, teacher / ONE)
    publish(teacher)
    mine = (reader / ONE).read_bytes()
    said = update(reader)
    edition = git(teacher, "rev-parse", "--short", "HEAD").strip()
    beside = f"01_one_new_{edition}.ipynb"
    assert said[1:] == [
        f"With changes of yours: {ONE}",
        f"{ONE} can't be joined with the new one, which is beside it: {beside}",
    ]
    assert (reader / ONE).read_bytes() == mine
    assert (reader / "notebooks" / beside).read_bytes() == (teacher / ONE).read_bytes()
    # The next edition comes as ever, and what was put there stays.
    edit(reader, f"notebooks/{beside}", add_a_cell)
    edit(teacher, TWO, newer)
    publish(teacher)
    assert update(reader)[1:] == [f"With changes of yours: {ONE}"]
    assert (reader / ONE).read_bytes() == mine
    assert (reader / TWO).read_bytes() == (teacher / TWO).read_bytes()
    assert "mine" in cells(reader, f"notebooks/{beside}")


def test_what_the_reader_spoils_is_not_touched(teacher, reader):
    """After two editions were joined well."""
    edit(reader, ONE, add_a_cell)
    edit(teacher, ONE, newer)
    publish(teacher)
    update(reader)
    (reader / ONE).write_text("not a notebook")
    assert mend(reader) == []
    assert update(reader)[1:] == [f"With changes of yours: {ONE}"]
    assert (reader / ONE).read_text() == "not a notebook"
    assert len(list((reader / "notebooks").iterdir())) == 2


# ---- when there is nothing to update from ----


def test_a_history_that_was_rewritten_changes_nothing(teacher, reader):
    edit(reader, ONE, change_a_cell)
    mine = (reader / ONE).read_bytes()
    git(teacher, "checkout", "--quiet", "--orphan", "again")
    edit(teacher, ONE, newer)
    commit(teacher, "Another beginning")
    git(teacher, "push", "--quiet", "--force", "origin", "again:main")
    with pytest.raises(UpdateError, match="no newer edition to give"):
        update(reader)
    assert (reader / ONE).read_bytes() == mine


def test_no_network_is_said(teacher, reader, tmp_path):
    edit(reader, ONE, change_a_cell)
    mine = (reader / ONE).read_bytes()
    (tmp_path / "published").rename(tmp_path / "elsewhere")
    with pytest.raises(UpdateError, match="Is there a network"):
        update(reader)
    assert (reader / ONE).read_bytes() == mine
    (tmp_path / "elsewhere").rename(tmp_path / "published")
    assert update(reader)[0].startswith("This is the newest edition already")


def test_a_folder_that_isnt_a_clone_is_told_what_to_do(tmp_path, monkeypatch):
    with pytest.raises(UpdateError, match="wasn't made by git clone"):
        update(tmp_path)
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    with pytest.raises(UpdateError, match="git remote add origin ADDRESS"):
        update(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UpdateError, match="git isn't installed"):
        update(tmp_path)


def test_a_copy_that_follows_nothing_can_be_told_what_to_follow(teacher, reader, tmp_path):
    """By what the message says, word for word."""
    edit(reader, TWO, change_a_cell)
    mine = (reader / TWO).read_bytes()
    git(reader, "switch", "--quiet", "--detach")
    git(reader, "remote", "remove", "origin")
    edit(teacher, ONE, newer)
    publish(teacher)
    for remedy in ("git remote add origin ADDRESS", "git switch main"):
        with pytest.raises(UpdateError, match=remedy):
            update(reader)
        address = (tmp_path / "published").as_uri()
        git(reader, *remedy.replace("ADDRESS", address).split()[1:])
    said = update(reader)
    assert said[0].startswith("This is the newest edition now, ")
    assert said[1:] == [f"With changes of yours: {TWO}"]
    assert (reader / ONE).read_bytes() == (teacher / ONE).read_bytes()
    assert (reader / TWO).read_bytes() == mine


def test_the_command_says_it_in_a_sentence(teacher, tmp_path):
    """As a reader types it, in a clone of their own, from any folder."""
    (teacher / "helpers").mkdir()
    for name in ("__init__.py", "update.py"):
        (teacher / "helpers" / name).write_bytes((ROOT / "helpers" / name).read_bytes())
    publish(teacher)
    git(tmp_path, "clone", "--quiet", str(tmp_path / "published"), "reader")
    edit(teacher, ONE, newer)
    publish(teacher)
    command = [sys.executable, "-m", "helpers.update"]
    options = {
        "cwd": tmp_path,
        "env": os.environ | {"PYTHONPATH": str(tmp_path / "reader")},
        "capture_output": True,
        "text": True,
    }
    assert "newest edition now" in subprocess.run(command, check=True, **options).stdout
    (tmp_path / "published").rename(tmp_path / "gone")
    result = subprocess.run(command, **options)
    assert result.returncode == 1
    assert "Is there a network" in result.stderr and "Traceback" not in result.stderr


def test_make_update_keeps_what_the_reader_did(teacher, tmp_path):
    """The target, typed: a changed cell, a new one and new outputs, under a newer edition."""
    add_make(teacher)
    for name in ("__init__.py", "update.py"):
        shutil.copy(ROOT / "helpers" / name, teacher / "helpers")
    (teacher / ".gitignore").write_text(".venv/\n__pycache__/\n")
    publish(teacher)
    git(tmp_path, "clone", "--quiet", str(tmp_path / "published"), "reader")
    reader = tmp_path / "reader"
    set_up_already(reader, ".lab")
    for change in (run, change_a_cell, add_a_cell):
        edit(reader, ONE, change)
    expected = cells(reader, ONE)
    for name in (ONE, TWO):
        edit(teacher, name, newer)
    publish(teacher)
    command = [*MAKE, "update"]
    typed = subprocess.run(command, cwd=reader, capture_output=True, text=True)
    assert typed.returncode == 0, typed.stderr
    assert typed.stdout.splitlines()[1:] == [f"With changes of yours: {ONE}"]
    now = cells(reader, ONE)
    assert now.pop("ending").source == "A new ending."
    assert now.pop("title").source.endswith("And one of the second edition.")
    expected.pop("title")
    assert now == expected
    assert (reader / TWO).read_bytes() == (teacher / TWO).read_bytes()
    # And without a network it is one sentence, and make's own line.
    (tmp_path / "published").rename(tmp_path / "gone")
    typed = subprocess.run(command, cwd=reader, capture_output=True, text=True)
    assert typed.returncode == 2
    assert len(typed.stderr.splitlines()) == 2 and "Is there a network" in typed.stderr
