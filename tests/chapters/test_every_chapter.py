"""What holds for every chapter: it runs, it is built like the others, its stored page is real."""

import ast
import json
import re

import nbformat
import papermill
import pytest

from tests.conftest import CHAPTERS, SHORT_PARAMETERS, own_parameters
from tests.markdown import pictures

OUTPUT_LIMIT = 1_000_000  # characters of one cell's outputs, as stored
NOTEBOOK_LIMIT = 3_000_000

chapters = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)


def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def markdown(notebook):
    return [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]


def tags(cell):
    return cell.metadata.get("tags", [])


def test_there_are_chapters():
    assert [path.stem[:2] for path in CHAPTERS] == [f"{n:02}" for n in range(1, len(CHAPTERS) + 1)]
    assert len(CHAPTERS) == 6


@chapters
def test_runs_through_papermill(path, run_chapter):
    run = run_chapter(path.stem)
    assert all(cell.execution_count for cell in code_cells(run.notebook))
    assert any(run.output_dir.iterdir())
    for cell in code_cells(run.notebook):
        for output in cell.outputs:
            assert output.output_type != "error"
            assert output.get("name") != "stderr", output.text


@chapters
def test_parameters_are_one_tagged_cell_that_papermill_understands(path):
    cells = [cell for cell in code_cells(read(path)) if "parameters" in tags(cell)]
    assert len(cells) == 1
    assert "output_dir" in papermill.inspect_notebook(path)
    for statement in ast.parse(cells[0].source).body:
        assert isinstance(statement, ast.Assign)
        ast.literal_eval(statement.value)  # plain values only
    assert f'output_dir = "../data/outputs/{path.stem}"' in cells[0].source


@chapters
def test_every_parameter_has_another_value_in_the_tests(path):
    """So that the records and the tests see one that has no effect."""
    own, short = own_parameters(path), SHORT_PARAMETERS.get(path.stem, {})
    # One dataset is there without a network; another scheduler and number of epochs are tried by
    # the tests of helpers.dask.
    elsewhere = {"dataset", "output_dir", "scheduler"} | (
        {"epochs"} if "scheduler" in own else set()
    )
    assert own.keys() == short.keys() | elsewhere & own.keys()
    same = [name for name in short if short[name] == own[name]]
    assert not same, f"give {same} other values in SHORT_PARAMETERS"


@chapters
def test_the_dataset_that_is_chosen_is_the_one_that_is_loaded(path, tmp_path):
    """There is only one without a network: so one that doesn't exist, up to where it is loaded."""
    cells = code_cells(read(path))
    loading = [number for number, cell in enumerate(cells) if "load_dataset(dataset" in cell.source]
    assert bool(loading) == ("dataset" in own_parameters(path))
    names = {"__name__": "chapter"}
    for cell in cells[: loading[0] + 1] if loading else []:
        if cell is cells[loading[0]]:
            with pytest.raises(ValueError, match="unknown dataset 'none such'"):
                exec(cell.source, names)
            continue
        exec(cell.source, names)
        if "parameters" in tags(cell):
            names |= {"output_dir": str(tmp_path), "dataset": "none such"}
        if "TensorBoardServer" in names:
            names["TensorBoardServer"] = lambda _: None  # nobody looks at its page
        if "check_parameters" in names:
            names["check_parameters"] = lambda **_: None  # which would say so before


@chapters
def test_every_solution_is_right(path, run_chapter):
    """So its own check says, and its truth is another way's than the solution's."""
    run = run_chapter(path.stem)
    for number, cell in enumerate(run.solutions, start=1):
        assert f"Exercise {number}: right. " in run.printed(cell)


@chapters
def test_an_exercise_that_nobody_has_tried_lets_the_run_go_on(path, run_chapter):
    run = run_chapter(path.stem)
    for number, cell in enumerate(run.solutions, start=1):
        check = run.cells[run.cells.index(cell) - 1]
        assert run.printed(check).startswith(f"Exercise {number}: not tried yet.")


@chapters
def test_stored_page_was_run_in_order_and_without_errors(path):
    cells = code_cells(read(path))
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    for cell in cells:
        for output in cell.outputs:
            assert output.output_type != "error"
            assert output.get("name") != "stderr", output.text
        assert len(json.dumps(cell.outputs)) < OUTPUT_LIMIT
    assert path.stat().st_size < NOTEBOOK_LIMIT


@chapters
def test_stored_page_shows_nothing_of_the_machine_it_ran_on(path):
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"/(home|root|Users|tmp|work)/|site-packages", text)
    assert not re.search(r"127\.0\.0\.1:\d", text)


@chapters
def test_cells_that_are_not_compared_say_why(path):
    for cell in code_cells(read(path)):
        skipped = "nbval-ignore-output" in tags(cell)
        reason = cell.metadata.get("not_compared")
        if skipped or reason:
            print(f"{path.stem} [{cell.execution_count}] not compared: {reason}")
        assert skipped == bool(reason)
        assert not {"nbval-skip", "raises-exception"} & set(tags(cell))


@chapters
def test_pictures_in_the_text_exist_and_are_described(path):
    for text in markdown(read(path)):
        for picture in pictures(text):
            assert len(picture.description.split()) >= 4, f"{picture.target} needs a description"
            assert (path.parent / picture.target).is_file(), f"{picture.target} is missing"


@chapters
def test_links_say_where_they_lead_and_local_ones_exist(path):
    for text in markdown(read(path)):
        for words, target in re.findall(r"(?<!!)\[([^\]]+)\]\(([^)]+)\)", text):
            assert words.lower() not in {"here", "link", "this", "click here"}
            if not target.startswith(("http", "#")):
                assert (path.parent / target).is_file(), f"{target} is missing"


@chapters
def test_every_drawn_figure_has_a_title_and_labels(path):
    """A figure in a chapter names itself; axes are labelled, or switched off for an image."""
    for cell in code_cells(read(path)):
        if "plt.show()" in cell.source:
            assert re.search(r"title|draw_", cell.source), cell.source
            assert re.search(r"label|set_axis_off|axis\(.off|draw_", cell.source), cell.source
