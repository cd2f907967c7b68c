"""What the training chapter wrote, read back with TensorBoard's own reader."""

import io
import re
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import average_precision_score, confusion_matrix
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.plugins.hparams import plugin_data_pb2
from torch.utils.data import TensorDataset

from helpers.data import ImageData, load_dataset, make_loader
from helpers.model import ConvNet
from tests.chapters import plain

CHAPTER = "02_tensorboardx_training"


@pytest.fixture(scope="module")
def run(run_chapter):
    return run_chapter(CHAPTER)


def read(folder):
    keep_all = {"scalars": 0, "images": 0, "histograms": 0, "tensors": 0}
    return EventAccumulator(str(folder), size_guidance=keep_all).Reload()


@pytest.fixture(scope="module")
def reading(run):
    """The folder of all that one reading of the chapter writes, which its page shows."""
    return run.output_dir / "run-1"


@pytest.fixture(scope="module")
def training(reading):
    return reading / "training" / "run-1"


@pytest.fixture(scope="module")
def events(training):
    return read(training)


@pytest.fixture(scope="module")
def losses(training):
    """Of the training: the two lines of one chart."""
    return {part: read(training / "loss" / part).Scalars("loss") for part in ("train", "test")}


@pytest.fixture(scope="module")
def printed(run):
    """All that the chapter printed."""
    return "".join(
        output.text
        for cell in run.notebook.cells
        for output in cell.get("outputs", [])
        if output.output_type == "stream"
    )


@pytest.fixture(scope="module")
def logged_steps(run):
    """The steps that the parameters imply: every log_every-th of all."""
    batches = len(make_loader(load_dataset().train, run.parameters["batch_size"]))
    every = run.parameters["log_every"]
    return list(range(every, run.parameters["epochs"] * batches + 1, every))


def test_tags_are_exactly_these(events):
    tags = events.Tags()
    assert tags["scalars"] == ["test/accuracy"]
    assert set(tags["images"]) == {"train/batch", "test/answers", "test/confusion"}
    assert tags["histograms"] == [name for name, _ in ConvNet().named_parameters()]
    assert set(tags["tensors"]) == {
        "about this run/text_summary",
        *(f"class {digit}" for digit in range(10)),
    }


def test_the_page_has_these_runs(reading, run):
    found = {str(file.parent.relative_to(reading)) for file in reading.rglob("events.out.*")}
    rates = [f"{factor * run.parameters['learning_rate']:g}" for factor in (1, 10)]
    assert found == {
        "first-look",
        "training/run-1",
        *(f"training/run-1/loss/{part}" for part in ("train", "test")),
        *(f"training/run-1/learning-rate-{rate}" for rate in rates),
        *(name for name in ("by-heart", "stopped")),
        *(f"{n}/few/loss/{p}" for n in ("by-heart", "stopped") for p in ("train", "validation")),
        "confused",  # of an exercise's solution
        "twins/helpers.eventfiles",
        "twins/torch.utils.tensorboard.writer",
    }


def test_before_the_training_there_is_a_curve_a_batch_and_the_network_to_look_at(reading, run):
    events = read(reading / "first-look")
    points = events.Scalars("falling")
    assert [point.step for point in points] == list(range(100))
    assert [point.value for point in points] == pytest.approx([20 / (20 + n) for n in range(100)])
    (event,) = events.Images("batch")
    values = run.values("images, labels = next(iter(loader))")
    picture = Image.open(io.BytesIO(event.encoded_image_string)).convert("L")
    first = np.asarray(picture)[2:30, 2:30] / 255
    assert first == pytest.approx(values["images"][0, 0].cpu().numpy(), abs=0.01)
    assert events.Tags()["graph"]


def test_every_tag_has_every_logged_step_once(events, losses, logged_steps):
    assert len(logged_steps) == 6
    for points in (*losses.values(), events.Scalars("test/accuracy")):
        assert [point.step for point in points] == logged_steps
    for tag in ("train/batch", "test/answers"):
        assert [event.step for event in events.Images(tag)] == logged_steps
    for name, _ in ConvNet().named_parameters():
        assert [event.step for event in events.Histograms(name)] == logged_steps


def test_it_learned(events, losses):
    accuracies = [event.value for event in events.Scalars("test/accuracy")]
    for points in losses.values():
        values = [point.value for point in points]
        assert values[0] == pytest.approx(2.3, abs=0.1)  # ln 10: no digit is preferred yet
        assert values == sorted(values, reverse=True)
        assert values[-1] < 1.0
    assert 0.7 < accuracies[-1] < 0.95


@pytest.fixture(scope="module")
def trained_again(run):
    """The chapter's training as a plain loop. The chapter shows a batch first."""
    return plain.of_run(run, skip=1)


def test_the_training_loss_is_the_mean_since_the_last_entry(losses, trained_again):
    logged = [point.value for point in losses["train"]]
    assert logged == pytest.approx(trained_again.means, rel=0.02)


def test_the_test_loss_is_of_the_test_images_at_each_log_entry(losses, trained_again):
    logged = [point.value for point in losses["test"]]
    assert logged == pytest.approx(trained_again.test_losses, rel=0.005)
    # The training images would give another one, from the first entry on.
    assert abs(np.divide(trained_again.train_losses, logged) - 1).max() > 0.015


def test_the_accuracy_is_counted_on_the_test_images_at_each_log_entry(events, trained_again):
    logged = [event.value for event in events.Scalars("test/accuracy")]
    assert logged == pytest.approx(trained_again.right, abs=0.01)
    # Not on as many training images, which would be as near as that at some entries.
    off = np.abs(np.subtract(logged, trained_again.right)).sum()
    assert off < 0.3 * np.abs(np.subtract(logged, trained_again.right_in_training)).sum()


def test_the_share_printed_at_the_end_is_of_all_test_images(printed, trained_again):
    share = re.search(r"([\d.]+)% of all 2,000 test images right", printed).group(1)
    assert float(share) / 100 == pytest.approx(plain.share_right(trained_again.model), abs=0.01)


def test_of_a_full_dataset_every_fifth_test_image_is_counted_as_it_goes(run):
    (source,) = (c.source for c in run.notebook.cells if c.source.startswith("some_test ="))
    full = TensorDataset(torch.arange(10_000), torch.zeros(10_000))
    names = {"data": ImageData(full, full, []), "TensorDataset": TensorDataset}
    exec(source, names)
    assert names["some_test"].tensors[0].tolist() == list(range(0, 10_000, 5))


def test_the_image_is_the_batch_as_a_grid_of_twelve_columns(events, run):
    for event in events.Images("train/batch"):
        picture = Image.open(io.BytesIO(event.encoded_image_string))
        columns = 12
        rows = -(-run.parameters["batch_size"] // columns)
        assert picture.size == (columns * 30 + 2, rows * 30 + 2)
        pixels = np.asarray(picture.convert("L"))
        assert pixels.max() == 255
        assert 0.08 < (pixels > 127).mean() < 0.16  # the share of ink in MNIST


def test_histograms_count_every_weight(events):
    for name, parameter in ConvNet().named_parameters():
        for event in events.Histograms(name):
            assert event.histogram_value.num == parameter.numel()
            assert sum(event.histogram_value.bucket) == parameter.numel()


def test_weights_move(events):
    first, *_, last = events.Histograms("fc.0.weight")
    assert last.histogram_value.sum_squares > 1.02 * first.histogram_value.sum_squares


def drawn(axes):
    """The numbers behind what is drawn in some axes: (kind, x, y) of each."""
    return [(kind, x, y) for kind, _, _, _, x, y in axes["drawn"]]


def test_the_curves_are_those_of_the_event_files(run, events, losses):
    left, right = run.axes("left.plot(*curve(")
    assert left["legend"] == ["train", "test"]
    found = [*drawn(left), *drawn(right)]
    logged = [losses["train"], losses["test"], events.Scalars("test/accuracy")]
    for (_, x, y), points in zip(found, logged, strict=True):
        assert x.tolist() == [point.step for point in points]
        assert y.tolist() == [point.value for point in points]
    assert "Loss" in left["title"]
    assert "Accuracy" in right["title"]


def test_the_answers_are_drawn_under_answer_confidence_and_truth(run, trained_again):
    images, truth = load_dataset().test[:16]
    with torch.no_grad():
        sure, answers = trained_again.model(images).softmax(1).max(1)
    make = run.noted(next(c for c in run.cells if "def answers_figure" in c.source))
    assert not make["figures"]
    source = next(c.source for c in run.cells if "def answers_figure" in c.source)
    names = {"data": load_dataset(), "place": "cpu", "torch": torch, "plt": plt}
    exec(
        source.partition("def answers_figure")[1] + source.partition("def answers_figure")[2], names
    )
    figure = names["answers_figure"](trained_again.model)
    said = [ax.title for ax in figure.axes]
    expected = [f"{a} ({s:.0%}), {t}" for a, s, t in zip(answers, sure, truth, strict=True)]
    assert [title.get_text() for title in said] == expected
    bold = [title.get_weight() == "bold" for title in said]
    assert bold == (answers != truth).tolist()
    for ax, image in zip(figure.axes, images, strict=True):
        np.testing.assert_array_equal(ax.images[0].get_array(), image[0])
    plt.close(figure)


def test_the_answers_that_were_logged_change_as_it_learns(events):
    shown = [
        np.asarray(Image.open(io.BytesIO(event.encoded_image_string)).convert("L")).astype(int)
        for event in events.Images("test/answers")
    ]
    for before, after in pairwise(shown):
        assert (abs(before - after) > 60).mean() > 0.001


# ---- overfitting, and its end ----


def by_epoch(reading, name):
    parts = ("train", "validation")
    return {p: read(reading / name / "few" / "loss" / p).Scalars("few/loss") for p in parts}


@pytest.fixture(scope="module")
def few(run):
    """The training on few images, as a plain loop."""
    return plain.overfit(run.parameters["seed"], epochs=60)


def test_the_two_losses_part(reading, few):
    found = by_epoch(reading, "by-heart")
    for part, points in found.items():
        assert [point.step for point in points] == list(range(1, 61))
        again = few[part]
        # The first epochs are the same to the digit; later ones differ as sums are rounded.
        assert [p.value for p in points][:12] == pytest.approx(again[:12], rel=0.03)
        assert [p.value for p in points] == pytest.approx(again, abs=0.15)
    train, validation = ([point.value for point in points] for points in found.values())
    assert train[-1] < 0.02 < 0.5 < min(validation) < validation[-1] - 0.1


def test_it_stops_eight_epochs_after_the_lowest_validation_loss(reading, run):
    whole = [p.value for p in by_epoch(reading, "by-heart")["validation"]]
    stopped = [p.value for p in by_epoch(reading, "stopped")["validation"]]
    best = int(np.argmin(stopped)) + 1
    assert len(stopped) == best + 8 < 60
    assert stopped == pytest.approx(whole[: len(stopped)], rel=1e-3)
    values = run.values("stopped, stopped_best, stopped_at =")
    assert (values["stopped_best"], values["stopped_at"]) == (best, best + 8)
    (axes,) = run.axes('title="Early stopping"')
    assert f"kept: epoch {best}" in axes["legend"]
    assert f"stopped: epoch {best + 8}" in axes["legend"]


def test_the_network_that_was_kept_is_that_of_the_best_epoch(run, reading):
    """Its loss on the test images, which chose nothing, is a plain training's at that epoch."""
    text = run.printed(next(c for c in run.cells if "def train_on_few" in c.source))
    said = {
        name.strip(): (float(loss), float(share))
        for name, loss, share in re.findall(
            r"^(.+?) *: loss ([\d.]+) on the test images, ([\d.]+)% right$", text, re.M
        )
    }
    best = int(np.argmin([p.value for p in by_epoch(reading, "stopped")["validation"]])) + 1
    for name, epochs in (("learned by heart", 60), ("stopped in time", best)):
        again = plain.overfit(run.parameters["seed"], epochs=epochs)["model"]
        loss, share = said[name]
        assert loss == pytest.approx(plain.mean_loss(again), abs=0.04)
        assert share / 100 == pytest.approx(plain.share_right(again), abs=0.015)
    assert said["stopped in time"][0] < 0.85 * said["learned by heart"][0]


def test_pytorchs_own_writer_writes_the_same(run, reading):
    """Byte for byte, but for the time of each entry and the writer's name."""
    found = []
    for name in ("helpers.eventfiles", "torch.utils.tensorboard.writer"):
        (file,) = (reading / "twins" / name).glob("events.out.*")
        raw = [Event.FromString(record) for record in RawEventFileLoader(str(file)).Load()]
        found.append([(event.step, event.SerializeToString()) for event in map(timeless, raw)])
    assert len(found[0]) == 8
    assert found[0] == found[1]
    cell = next(c for c in run.cells if "torch_tensorboard" in c.source)
    assert run.printed(cell) == "8 entries and 8, the same: True\n"


def timeless(event):
    event.wall_time = 0
    event.ClearField("source_metadata")  # in which the first entry names its writer
    return event


def test_the_two_histograms_are_the_first_and_the_last_of_fc_0(run, events):
    (axes,) = run.axes("early and late in training")
    first, *_, last = events.Histograms("fc.0.weight")
    assert axes["legend"] == [f"step {event.step}" for event in (first, last)]
    for (_, edges, density), event in zip(drawn(axes), (first, last), strict=True):
        assert edges.tolist() == pytest.approx(event.histogram_value.bucket_limit)
        assert (density * np.diff(edges)).sum() == pytest.approx(1)
        counts = density * np.diff(edges) * event.histogram_value.num
        assert counts == pytest.approx(event.histogram_value.bucket[1:], abs=1)


def test_the_confusion_matrix_is_scikit_learns(run):
    answers = run.values("logits = torch.cat(")["logits"].argmax(1)
    axes = run.axes("ConfusionMatrixDisplay.from_predictions(")[0]
    ((_, _, shown),) = drawn(axes)
    truth = load_dataset().test.tensors[1]
    assert np.array_equal(shown, confusion_matrix(truth, answers))
    assert (axes["x"]["label"], axes["y"]["label"]) == ("answer", "true class")


def test_the_highlighted_curves_are_of_the_best_and_the_worst_class(run):
    logits, truth = run.values("logits = torch.cat(")["logits"], load_dataset().test.tensors[1]
    shares = logits.softmax(1)
    score = [average_precision_score(truth == digit, shares[:, digit]) for digit in range(10)]
    chosen = sorted({int(np.argmax(score)), int(np.argmin(score))})
    (axes,) = run.axes("average_precision_score(")
    assert axes["legend"] == [f"{d}: average precision {score[d]:.3f}" for d in chosen]
    for digit, (_, recall, precision) in enumerate(drawn(axes)):
        area = -np.sum(np.diff(recall) * precision[:-1])  # the definition of average precision
        assert area == pytest.approx(score[digit], abs=1e-6)


def test_precision_recall_curves_are_of_their_digit(events):
    """Row 0 of the stored table counts true positives; at threshold 0 that is all of the digit."""
    from tensorboard.util import tensor_util

    counts = load_dataset().test.tensors[1].bincount()
    for digit in range(10):
        (event,) = events.Tensors(f"class {digit}")
        table = tensor_util.make_ndarray(event.tensor_proto)
        assert table.shape == (6, 127)
        assert table[0, 0] == counts[digit]
        precision = table[4]
        assert precision[63] > 0.5  # at a probability of one half: ten times a guess


def test_projector_has_500_digits_with_labels_and_thumbnails(training):
    (config,) = training.rglob("projector_config.pbtxt")
    folder = next(training.rglob("tensors.tsv")).parent
    assert "sprite" in config.read_text()
    vectors = np.loadtxt(folder / "tensors.tsv", delimiter="\t")
    assert vectors.shape == (500, 64)
    labels = (folder / "metadata.tsv").read_text().split()
    assert labels == [str(label) for label in load_dataset().test.tensors[1][:500].tolist()]
    sprite = Image.open(folder / "sprite.png")
    assert sprite.size == (23 * 28, 23 * 28)
    # On paper, as in the chapter: the first thumbnail is the first test image, dark on white.
    paper = 255 * (1 - load_dataset().test.tensors[0][0, 0].numpy())
    thumbnail = np.asarray(sprite.convert("L").crop((0, 0, 28, 28)))
    np.testing.assert_allclose(thumbnail, paper, atol=2)


def test_two_short_runs_are_compared(run, training):
    rates = {}
    for folder in training.glob("learning-rate-*"):
        events = EventAccumulator(str(folder)).Reload()
        metadata = events.SummaryMetadata("_hparams_/session_start_info")
        content = plugin_data_pb2.HParamsPluginData.FromString(metadata.plugin_data.content)
        rate = content.session_start_info.hparams["learning rate"].number_value
        rates[round(rate, 9)] = events.Scalars("short_run/accuracy")[-1].value
    rate = run.parameters["learning_rate"]
    assert set(rates) == {rate, 10 * rate}
    assert 0.2 < rates[rate] < rates[10 * rate] < 0.95


def test_the_note_names_the_parameters(events, run):
    (event,) = events.Tensors("about this run/text_summary")
    text = event.tensor_proto.string_val[0].decode()
    assert "| dataset | mnist-sample |" in text
    for name in ("epochs", "batch_size", "learning_rate", "seed"):
        assert f"| {name.replace('_', ' ')} | {run.parameters[name]} |" in text


def test_bar_reached_the_end(printed):
    assert "step 160 of 160, epoch=2, loss=" in printed


def test_a_second_run_has_event_files_of_its_own(run, training):
    """The chapter's first cells, run twice on one output_dir."""
    from helpers.chapter import new_run_dir

    assert new_run_dir(run.output_dir).name == "run-2"
    assert new_run_dir(training.parent).name == "run-2"
    assert len(list(training.glob("events.out.*"))) == 1
