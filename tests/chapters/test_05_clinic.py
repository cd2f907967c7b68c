"""What the clinic's chapter shows and writes, and that its words are those of the one list."""

import re

import nbformat
import pytest
from PIL import Image

from helpers.clinic import ILLNESSES, LETTERS, NAMES, ill_lines, read_chart
from tests.conftest import ROOT

CHAPTER = "05_clinic"


@pytest.fixture(scope="module")
def run(run_chapter):
    return run_chapter(CHAPTER)


@pytest.fixture(scope="module")
def stored():
    return nbformat.read(ROOT / "notebooks" / f"{CHAPTER}.ipynb", as_version=4)


def outputs(notebook, source):
    """The outputs of the one code cell that begins so."""
    (cell,) = (c for c in notebook.cells if c.cell_type == "code" and c.source.startswith(source))
    return cell.outputs


def markdown(notebook):
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


@pytest.mark.parametrize("letter", LETTERS)
def test_each_patient_has_a_figure_and_a_diagnosis_to_write(run, letter):
    figure, answer = outputs(run.notebook, f'look("{letter}")')
    assert "image/png" in figure.data
    assert answer.data["text/plain"].startswith(f"Patient {letter}: no diagnosis yet.")


@pytest.mark.parametrize("illness", ILLNESSES, ids=lambda illness: illness.patient)
def test_each_patient_has_a_folded_solution_from_the_list(stored, illness):
    solution = re.search(
        rf"<details>\n<summary>Patient {illness.patient}: .*?</details>", markdown(stored), re.S
    )[0]
    assert f"**{illness.name}**" in solution
    assert illness.shows in solution
    if illness.name != "healthy":
        assert ill_lines(illness.patient) in solution
        assert illness.cured in solution
        assert illness.cure in solution


def test_nothing_but_folded_solutions_names_a_patients_illness(stored):
    """Apart from A, of whom it is said that it isn't healthy, and H, who is treated."""
    text = re.sub(r"<details>.*?</details>", "", markdown(stored), flags=re.S)
    waiting_room = text.split("## The waiting room")[1].split("## A second opinion")[0]
    assert not [name for name in NAMES if name in waiting_room and name != "healthy"]


def test_names_to_choose_from_are_listed(run):
    (printed,) = outputs(run.notebook, 'print("\\n"')
    assert printed.text.split("\n")[:-1] == NAMES


def test_a_wrong_diagnosis_is_answered(run):
    (answer,) = outputs(run.notebook, 'diagnose("A", "healthy")')
    assert answer.data["text/plain"].startswith("Patient A, healthy: no.\nSpeaks against it:")


def test_the_treated_patient_recovers(run):
    before = read_chart(ROOT / "data" / "clinic" / "H")
    after = read_chart(run.output_dir / "run-1" / "H treated")
    assert after.last_step == 50 * run.parameters["epochs"]
    assert before.scalars["accuracy/test"][1][-1] < 0.2
    assert after.scalars["accuracy/test"][1][-1] > 0.8


def test_the_treatment_is_the_lists_own(stored):
    (illness,) = (illness for illness in ILLNESSES if illness.patient == "H")
    (treatment,) = (c.source for c in stored.cells if '"H treated"' in c.source)
    assert illness.cured in treatment


def test_the_readers_own_patient_learned(run):
    mine = read_chart(run.output_dir / "run-1" / "mine")
    assert mine.layers() == ["1", "3"]
    assert mine.last_step == 125
    assert mine.scalars["accuracy/test"][1][-1] > 0.8


def test_the_poster_is_there_as_pdf_and_png(run):
    folder = run.output_dir / "run-1"
    assert (folder / "what_is_wrong.pdf").read_bytes().startswith(b"%PDF")
    with Image.open(folder / "what_is_wrong.png") as picture:
        assert picture.size == (1320, 936)
    (shown,) = outputs(run.notebook, "Markdown(table())")
    for illness in ILLNESSES:
        assert illness.name == "healthy" or f"**{illness.name}**" in shown.data["text/markdown"]


def test_the_autograd_graph_ends_at_the_cut_and_the_architecture_at_the_softmax(run):
    (graph,) = outputs(run.notebook, "cut = next(")
    assert "fc.0.weight" in graph.data["image/svg+xml"]
    assert "conv2.0.weight" not in graph.data["image/svg+xml"]
    (graph,) = outputs(run.notebook, "twice = next(")
    assert "Softmax" in graph.data["image/svg+xml"]
