"""What the training chapter wrote, read back with TensorBoard's own reader."""

import io
import re

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import average_precision_score, confusion_matrix
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2
from torch.utils.data import TensorDataset

from helpers.data import ImageData, load_dataset, make_loader
from helpers.model import ConvNet
from tests.chapters import plain

CHAPTER = "02_tensorboardx_training"


@pytest.fixture(scope="module")
def run(run_chapter):
    return run_chapter(CHAPTER)


@pytest.fixture(scope="module")
def events(run):
    keep_all = {"scalars": 0, "images": 0, "histograms": 0, "tensors": 0}
    return EventAccumulator(str(run.output_dir / "run-1"), size_guidance=keep_all).Reload()


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
    assert tags["scalars"] == ["train/loss", "test/accuracy"]
    assert set(tags["images"]) == {"train/batch", "test/confusion"}
    assert tags["histograms"] == [name for name, _ in ConvNet().named_parameters()]
    assert set(tags["tensors"]) == {
        "about this run/text_summary",
        *(f"class {digit}" for digit in range(10)),
    }
    assert tags["graph"]


def test_every_tag_has_every_logged_step_once(events, logged_steps):
    assert len(logged_steps) == 6
    for tag in ("train/loss", "test/accuracy"):
        assert [event.step for event in events.Scalars(tag)] == logged_steps
    assert [event.step for event in events.Images("train/batch")] == logged_steps
    for name, _ in ConvNet().named_parameters():
        assert [event.step for event in events.Histograms(name)] == logged_steps


def test_it_learned(events):
    losses = [event.value for event in events.Scalars("train/loss")]
    accuracies = [event.value for event in events.Scalars("test/accuracy")]
    assert losses[0] == pytest.approx(2.3, abs=0.1)  # ln 10: no digit is preferred yet
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 1.0
    assert 0.7 < accuracies[-1] < 0.95


@pytest.fixture(scope="module")
def trained_again(run):
    """The chapter's training as a plain loop. The chapter shows a batch first."""
    return plain.of_run(run, skip=1)


def test_the_loss_is_the_mean_since_the_last_entry(events, trained_again):
    logged = [event.value for event in events.Scalars("train/loss")]
    assert logged == pytest.approx(trained_again.means, rel=0.02)


def test_the_accuracy_is_counted_on_the_test_images_at_each_log_entry(events, trained_again):
    logged = [event.value for event in events.Scalars("test/accuracy")]
    assert logged == pytest.approx(trained_again.right, abs=0.01)


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


def test_the_curves_are_those_of_the_event_file(run, events):
    axes = run.axes('left.plot(*curve("train/loss")')
    for panel, tag in zip(axes, ("train/loss", "test/accuracy"), strict=True):
        ((_, x, y),) = drawn(panel)
        assert x.tolist() == [event.step for event in events.Scalars(tag)]
        assert y.tolist() == [event.value for event in events.Scalars(tag)]
    assert "loss" in axes[0]["title"]
    assert "Accuracy" in axes[1]["title"]


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


def test_projector_has_500_digits_with_labels_and_thumbnails(run):
    (config,) = (run.output_dir / "run-1").rglob("projector_config.pbtxt")
    folder = next((run.output_dir / "run-1").rglob("tensors.tsv")).parent
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


def test_two_short_runs_are_compared(run):
    rates = {}
    for folder in (run.output_dir / "run-1").glob("learning-rate-*"):
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


def test_a_second_run_has_event_files_of_its_own(run, tmp_path):
    """The chapter's first cells, run twice on one output_dir."""
    from helpers.chapter import new_run_dir

    assert new_run_dir(run.output_dir).name == "run-2"
    assert len(list((run.output_dir / "run-1").glob("events.out.*"))) == 1
