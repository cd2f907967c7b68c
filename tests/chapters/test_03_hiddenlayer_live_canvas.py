"""What the canvas chapter drew, logged and saved, held against what its parameters imply."""

import base64
import io
import re
from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import confusion_matrix

from helpers import hiddenlayer as hl
from helpers.data import load_dataset, make_loader
from tests.chapters import plain

CHAPTER = "03_hiddenlayer_live_canvas"


@pytest.fixture(scope="module")
def run(run_chapter):
    return run_chapter(CHAPTER)


@pytest.fixture(scope="module")
def folder(run):
    return run.output_dir / "run-1"


@pytest.fixture(scope="module")
def history(folder):
    history = hl.History()
    history.load(folder / "history.npz")
    return history


@pytest.fixture(scope="module")
def logged_steps(run):
    """The steps that the parameters imply: every log_every-th of each epoch."""
    batches = len(make_loader(load_dataset().train, run.parameters["batch_size"]))
    every = run.parameters["log_every"]
    epochs = range(1, run.parameters["epochs"] + 1)
    return [(epoch, step) for epoch in epochs for step in range(every, batches + 1, every)]


def pictures_of(cell):
    return [
        Image.open(io.BytesIO(base64.b64decode(output.data["image/png"])))
        for output in cell.outputs
        if "image/png" in output.get("data", {})
    ]


def code_cells(run):
    return [cell for cell in run.notebook.cells if cell.cell_type == "code"]


def cell_with(run, text):
    (cell,) = [cell for cell in code_cells(run) if text in cell.source]
    return cell


def pixels(picture):
    return np.asarray(picture.convert("RGB")).astype(int)


def is_drawn(picture):
    """White paper with something on it."""
    values = pixels(picture)
    ink = (values < 250).any(axis=2).mean()
    return 0.01 < ink < 0.9 and len(np.unique(values.reshape(-1, 3), axis=0)) > 20


def test_history_holds_exactly_the_logged_steps(history, logged_steps):
    assert len(logged_steps) == 4
    assert history.steps == logged_steps
    assert history.metrics == {"train_loss", "test_acc", "hidden_weight", "hidden_gradient"}
    for name in history.metrics:
        assert history[name].steps == logged_steps


def test_the_canvas_was_redrawn_once_for_each_log_entry(run, folder, logged_steps):
    printed = cell_with(run, "canvas.redraws").outputs[0].text
    assert printed.startswith(f"{len(logged_steps)} pictures, the last at step 2:60\n")
    assert Image.open(folder / "training.png").n_frames == len(logged_steps)


def test_one_picture_is_left_in_each_cell_that_draws(run):
    drawing = [c for c in code_cells(run) if re.search("with (canvas|bars):", c.source)]
    assert len(drawing) == 11
    for cell in drawing:
        (picture,) = pictures_of(cell)
        assert is_drawn(picture), cell.source
        assert picture.width == 900


def test_it_learned(history):
    losses, accuracies = history["train_loss"].data, history["test_acc"].data
    assert losses[0] == pytest.approx(2.3, abs=0.1)  # ln 10: no digit is preferred yet
    assert (np.diff(losses) < 0).all()
    assert losses[-1] < 1.7
    assert 0.6 < accuracies[-1] < 0.95


def test_what_was_logged_is_what_a_plain_loop_gives(run, history):
    again = plain.of_run(run, each_epoch=True)
    assert history["train_loss"].data == pytest.approx(again.means, rel=0.02)
    assert history["test_acc"].data == pytest.approx(again.right, abs=0.01)
    assert history["hidden_weight"].data.shape == (4, 64, 128)
    np.testing.assert_allclose(history["hidden_weight"].data, again.weights, atol=2e-3)
    gradients = np.ravel(again.gradients)
    assert np.corrcoef(history["hidden_gradient"].data.ravel(), gradients)[0, 1] > 0.95


def test_the_weights_that_were_kept_differ_from_entry_to_entry(history):
    weights = history["hidden_weight"].data
    assert (np.abs(np.diff(weights, axis=0)).max(axis=(1, 2)) > 1e-3).all()


def test_the_claim_about_weights_that_never_move_holds(run, history):
    """White rows in the picture of the change are neurons without any gradient."""
    weights, gradients = history["hidden_weight"].data, history["hidden_gradient"].data
    still = (weights[-1] == weights[0]).all(axis=1)
    assert 1 <= still.sum() <= 32
    assert (gradients[:, still] == 0).all()
    printed = cell_with(run, "never fire").outputs[0].text
    assert f"{still.sum()} white rows, {still.sum()} never fire" in printed


def test_more_than_half_of_the_gradients_are_zero(history):
    assert ((history["hidden_gradient"].data == 0).mean(axis=(1, 2)) > 0.5).all()


def test_a_share_of_the_weights_never_moved(history):
    weights = history["hidden_weight"].data
    assert 0.15 < (weights[-1] == weights[0]).mean() < 0.45


def test_the_last_canvas_of_the_training_shows_the_history(run, history):
    loss, accuracy, weight = run.axes("pictures.append(canvas.png)")
    for axes, name in ((loss, "train_loss"), (accuracy, "test_acc")):
        ((_, label, _, _, x, y),) = axes["drawn"]
        assert label == name
        assert x.tolist() == [0, 1, 2, 3]
        assert y.tolist() == history[name].data.tolist()
        assert axes["title"] == f"{name}: {history[name].data[-1]:.4g}"
    ((_, _, _, _, _, strip),) = weight["drawn"]
    np.testing.assert_array_equal(strip[:, -128:], history["hidden_weight"].data[-1])
    np.testing.assert_array_equal(strip[:, :128], history["hidden_weight"].data[-2])


def test_the_predictions_are_those_of_a_plain_training(run):
    """Of the first 16 test images, with the same truth above them."""
    _, predictions = run.axes("canvas.draw_predictions(")
    parameters = run.parameters
    trained = plain.train(10 * parameters["learning_rate"], parameters["seed"], 60, 128)
    images, truth = load_dataset().test[:16]
    with torch.no_grad():
        sure, answers = trained.model(images).softmax(1).max(1)
    assert len(predictions["texts"]) == 16
    right = 0
    for said, one, share, true in zip(predictions["texts"], answers, sure, truth, strict=True):
        answer, confidence, label = re.fullmatch(r"(\d) \((\d+)%\), (\d)", said).groups()
        assert int(label) == true
        assert abs(int(confidence) / 100 - share) < 0.1
        assert int(answer) == one or share < 0.6
        right += answer == label
    assert predictions["title"] == f"answers at step 60: {right} of 16 right"


def test_the_confusion_canvas_shows_scikit_learns_matrix(run):
    (axes,) = run.axes("ConfusionCanvas()")
    values = run.values("ConfusionCanvas()")
    truth = load_dataset().test.tensors[1]
    ((_, _, _, _, _, shown),) = axes["drawn"]
    assert shown == pytest.approx(confusion_matrix(truth, values["answer"], normalize="true"))
    assert (axes["x"]["label"], axes["y"]["label"]) == ("answer", "true class")
    right = (values["answer"] == truth).double().mean()
    assert axes["title"] == f"test_images at step 60, {right:.1%} answered right"


def test_animation_ends_with_the_picture_that_is_left(run, folder):
    (left,) = pictures_of(cell_with(run, "optimizer.step()\n        recent"))
    for ending in ("png", "gif"):
        film = Image.open(folder / f"training.{ending}")
        frames = []
        for number in range(film.n_frames):
            film.seek(number)
            frames.append(pixels(film))
        assert len(frames) == 4
        assert np.abs(frames[-1] - pixels(left)).mean() < 6
        for before, after in pairwise(frames):
            assert np.abs(after - before).mean() > 1
    stored = cell_with(run, 'f"training.{ending}"').outputs[0].data["image/png"]
    assert base64.b64decode(stored) == (folder / "training.png").read_bytes()


def test_last_canvas_is_saved(run, folder):
    (shown,) = pictures_of(cell_with(run, "ConfusionCanvas()"))
    saved = Image.open(folder / "confusion.png")
    assert is_drawn(saved)
    np.testing.assert_array_equal(pixels(saved), pixels(shown))
    assert (folder / "confusion.pdf").read_bytes().startswith(b"%PDF")


def test_the_higher_rate_wins_the_race(run):
    printed = [output.text for output in cell_with(run, "def race").outputs if "text" in output]
    assert printed == ["after 60 steps the higher rate is ahead: True\n"]


def test_nothing_else_was_written(folder):
    names = {"history.npz", "confusion.png", "confusion.pdf", "training.png", "training.gif"}
    assert {path.name for path in folder.iterdir()} == names
