"""What each panel draws of what was logged."""

import numpy as np
import pytest
import torch

from helpers import hiddenlayer as hl
from helpers.hiddenlayer.panels import COLORS, DASHES, MARKERS
from tests.helpers.hiddenlayer.conftest import decode, is_drawn

# A tick label that isn't at its tick was one of hiddenlayer's faults; it came with a warning.
# Not what another test left open, whose end may fall into one of these.
pytestmark = pytest.mark.filterwarnings(
    "error", "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


def test_plot_draws_each_step_at_its_place(history):
    canvas = hl.Canvas()
    history.log((2, 20), other=5.0)
    with canvas:
        canvas.draw_plot([history["loss"], history["other"]], labels=["a", "b"], ylabel="nats")
    (ax,) = canvas.figure.axes
    loss, other = ax.lines
    assert loss.get_xydata().tolist() == [[0, 2.5], [1, 1.25], [2, 0.123456]]
    assert other.get_xydata().tolist() == [[3, 5.0]]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["1:10", "1:20", "2:10", "2:20"]
    assert ax.get_xticks().tolist() == [0, 1, 2, 3]
    assert ax.get_title() == "a: 0.1235   b: 5"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("epoch:step", "nats")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "b"]


def test_plot_puts_whole_steps_on_a_scale_of_numbers():
    history = hl.History()
    for step in (1, 10, 100):
        history.log(step, loss=1 / step)
    canvas = hl.Canvas()
    with canvas:
        canvas.draw_plot(history["loss"], title="Loss")
    (ax,) = canvas.figure.axes
    assert ax.lines[0].get_xdata().tolist() == [1, 10, 100]
    assert ax.get_title() == "Loss"
    assert ax.get_xlabel() == "step"
    assert ax.get_legend() is None


def test_long_histories_have_no_more_labels_than_fit():
    history = hl.History()
    for epoch in range(10):
        for step in range(10):
            history.log((epoch, step), loss=0)
    canvas = hl.Canvas()
    with canvas:
        canvas.draw_plot(history["loss"])
    labels = [tick.get_text() for tick in canvas.figure.axes[0].get_xticklabels()]
    assert labels == [f"{step // 10}:{step % 10}" for step in range(0, 100, 9)]


def test_lines_differ_in_more_than_colour():
    looks = list(zip(COLORS, map(str, DASHES), MARKERS, strict=True))
    assert len(looks) == 5
    for kind in zip(*looks, strict=True):
        assert len(set(kind)) == 5


def test_plot_refuses_what_is_no_number(history):
    canvas = hl.Canvas()
    with pytest.raises(ValueError, match=r"matrix is of shape \(2, 3\)"):
        canvas.draw_plot(history["matrix"])
    rows = hl.History()
    rows.log(1, row=np.zeros(4))
    with pytest.raises(ValueError, match=r"draw_image needs .*; row is of shape \(4,\)"):
        canvas.draw_image(rows["row"])


def test_image_shows_the_last_ones_in_order(history):
    canvas = hl.Canvas()
    with canvas:
        canvas.draw_image(history["matrix"])
    ax = canvas.figure.axes[0]
    (drawn,) = ax.images
    strip = drawn.get_array()
    np.testing.assert_array_equal(strip[:, :3], [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(strip[:, 4:], [[0, -1, -2], [-3, -4, -5]])
    assert strip.mask.sum() == 2  # the gap of one column
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["step 1:20", "step 2:10"]
    assert ax.get_title() == "matrix, 2 x 3"
    assert drawn.get_clim() == (-5, 5)  # white is 0
    assert drawn.colorbar is not None
    assert is_drawn(decode(canvas.png))

    with canvas:
        canvas.draw_image(history["matrix"], limit=1)
    np.testing.assert_array_equal(
        canvas.figure.axes[0].images[0].get_array(), [[0, -1, -2], [-3, -4, -5]]
    )


def test_image_without_negative_values_starts_at_zero():
    history = hl.History()
    history.log(1, image=np.full((4, 4), 3))
    canvas = hl.Canvas()
    canvas.draw_image(history["image"])
    assert canvas.figure.axes[0].images[0].get_clim() == (0, 3)


def test_image_refuses_other_shapes(history):
    history.log((3, 1), colour=np.zeros((3, 8, 8)))
    canvas = hl.Canvas()
    with pytest.raises(ValueError, match=r"colour is of shape \(3, 8, 8\)"):
        canvas.draw_image(history["colour"])
    with pytest.raises(ValueError, match="loss is a number"):
        canvas.draw_image(history["loss"])


def ridges(canvas):
    """Counts, edges and baseline of each ridge, from the top of the panel to its bottom."""
    (ax,) = canvas.figure.axes  # hiddenlayer leaves an empty one behind
    data = [patch.get_data() for patch in ax.patches]
    return [(data.values - data.baseline, data.edges, data.baseline) for data in data]


def test_histogram_of_a_known_tensor_has_the_counts_that_numpy_gives():
    generator = torch.Generator().manual_seed(0)
    tensors = {step: step + torch.randn(40, 50, generator=generator) for step in (5, 10, 20)}
    history = hl.History()
    for step, tensor in tensors.items():
        history.log(step, weight=tensor)
    canvas = hl.Canvas()
    with canvas:
        canvas.draw_hist(history["weight"])
    everything = torch.stack(list(tensors.values())).numpy()
    edges = np.histogram_bin_edges(everything, 40)
    drawn = ridges(canvas)
    assert len(drawn) == 3
    for (counts, drawn_edges, _), tensor in zip(drawn, tensors.values(), strict=True):
        np.testing.assert_allclose(drawn_edges, edges)
        np.testing.assert_allclose(counts, np.histogram(tensor.numpy(), edges)[0])
        assert counts.sum() == pytest.approx(2000)
    ax = canvas.figure.axes[0]
    baselines = [baseline for *_, baseline in drawn]
    assert baselines == sorted(baselines, reverse=True)
    assert ax.get_yticks().tolist() == baselines
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["5", "10", "20"]
    orders = [patch.get_zorder() for patch in ax.patches]
    assert orders == sorted(set(orders))  # the newest in front
    highest = max(counts.max() for counts, *_ in drawn)
    assert ax.get_title() == f"weight, 2,000 values, up to {highest:.0f} in a bin"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("value", "step")


def test_histogram_shows_the_last_ten_steps():
    history = hl.History()
    for step in range(15):
        history.log((1, step), weight=np.array([step, 2.0 * step]))
    canvas = hl.Canvas()
    canvas.draw_hist(history["weight"], title="Weights")
    ax = canvas.figure.axes[0]
    assert [tick.get_text() for tick in ax.get_yticklabels()] == [f"1:{s}" for s in range(5, 15)]
    assert ax.get_title() == "Weights"
    canvas.draw_hist(history["weight"], limit=3, bins=7)
    assert [len(counts) for counts, *_ in ridges(canvas)] == [7, 7, 7]


def test_a_run_that_diverges_can_be_watched():
    history = hl.History()
    broken = np.array([[np.nan, np.inf, -1.0], [1.0, 2.0, 3.0]])
    history.log(1, loss=1.0, weight=np.ones((2, 3)))
    history.log(2, loss=np.nan, weight=broken)
    history.log(3, loss=np.inf, weight=np.full((2, 3), np.nan))
    canvas = hl.Canvas()
    canvas.theme["panel_height"] = 2
    with canvas:
        canvas.draw_plot(history["loss"])
        canvas.draw_image(history["weight"])
        canvas.draw_hist(history["weight"])
    plot, image, hist = canvas.figure.axes[:3]
    assert plot.get_title() == "loss: inf"
    assert image.images[0].get_clim() == (-3, 3)
    assert hist.get_title().endswith(", 8 not finite")
    counts = [patch.get_data().values - patch.get_data().baseline for patch in hist.patches]
    np.testing.assert_allclose([count.sum() for count in counts], [6, 4, 0])


def test_summary_stands_above_the_panels(history):
    history.history[1, 10]["__timestamp__"] = 1000.0
    history.history[2, 10]["__timestamp__"] = 1000.0 + 3600 + 62.7
    canvas = hl.Canvas()
    with canvas:
        canvas.draw_plot(history["loss"])
        canvas.draw_summary(history, title="Run 7")
    text = canvas.figure.get_suptitle()
    assert text.startswith("Run 7\nstep 2:10, 1:01:02")
    assert len(canvas.figure.axes) == 1
    canvas.draw_summary(history)  # alone, too
    assert canvas.figure.axes == []
    with pytest.raises(ValueError, match="nothing was logged"):
        canvas.draw_summary(hl.History())


ANYTHING_FINITE = {
    "constant": np.full(5, 1e9),
    "zeros": np.zeros(5),
    "hardly moved": torch.tensor([1.0, 1.0 + 1.2e-7, 1.0]),
    "huge": np.float32([-3.4e38, 3.4e38]),
    "half": torch.tensor([-40000.0, 40000.0]).half(),
    "bfloat16": torch.randn(9).bfloat16(),
    "whole": np.arange(9),
    "bytes": np.arange(9, dtype=np.uint8),
    "bool": torch.tensor([True, False, True]),
    "empty": torch.zeros(0, 3),
}


@pytest.mark.parametrize("values", ANYTHING_FINITE.values(), ids=ANYTHING_FINITE)
def test_a_histogram_of_anything_finite_counts_every_value(values):
    history = hl.History()
    history.log(1, weight=values)
    canvas = hl.Canvas()
    canvas.draw_hist(history["weight"])
    ((counts, edges, baseline),) = ridges(canvas)
    size = int(np.prod(np.shape(values)))
    assert (np.asarray(counts) - baseline).sum() == size
    assert np.isfinite(edges).all()
    assert f"{size} values" in canvas.figure.axes[0].get_title()
    assert "finite" not in canvas.figure.axes[0].get_title()


def test_what_no_axis_reaches_counts_as_infinite():
    history = hl.History()
    for step in (1, 2):
        row = np.array([1.7e308, -1.7e308, 0.5])
        history.log(step, weight=row, image=row[None], loss=1.7e308 / step)
    canvas = hl.Canvas()
    with canvas:
        canvas.draw_hist(history["weight"])
        canvas.draw_image(history["image"])
        canvas.draw_plot(history["loss"])
    assert canvas.figure.axes[0].get_title().endswith(", 4 not finite")


def test_numbers_that_are_not_finite_are_a_gap_in_a_line():
    history = hl.History()
    for step, loss in enumerate((1.0, np.nan, -np.inf, 4.0)):
        history.log(step, loss=loss)
    canvas = hl.Canvas()
    canvas.draw_plot(history["loss"])
    drawn = canvas.figure.axes[0].lines[0].get_ydata()
    np.testing.assert_array_equal(drawn, [1, np.nan, np.nan, 4])


def test_an_image_of_nothing_finite_says_so():
    history = hl.History()
    history.log(1, weight=np.ones((2, 2)))
    history.log(2, weight=np.full((2, 2), np.nan))
    canvas = hl.Canvas()
    canvas.draw_image(history["weight"])
    labels = [tick.get_text() for tick in canvas.figure.axes[0].get_xticklabels()]
    assert labels == ["step 1", "step 2, nothing finite"]


@pytest.mark.parametrize("panel", ["draw_plot", "draw_image", "draw_hist"])
@pytest.mark.parametrize("value", [1 + 2j, "text"], ids=["complex", "text"])
def test_what_is_no_real_number_is_named(panel, value):
    history = hl.History()
    history.log(1, odd=value if panel == "draw_plot" else np.full((2, 2), value))
    canvas = hl.Canvas()
    with pytest.raises(ValueError, match=f"{panel} draws real numbers; odd holds"):
        getattr(canvas, panel)(history["odd"])


@pytest.mark.parametrize("value", [torch.eye(3).bool(), torch.eye(3).byte(), torch.eye(3).half()])
def test_an_image_may_have_any_dtype(value):
    history = hl.History()
    history.log(1, mask=value)
    canvas = hl.Canvas()
    canvas.draw_image(history["mask"])
    np.testing.assert_array_equal(canvas.figure.axes[0].images[0].get_array(), np.eye(3))


def test_two_metrics_without_a_list_are_told_how(history):
    """As one of hiddenlayer's own demos calls it."""
    canvas = hl.Canvas()
    with pytest.raises(TypeError, match="takes several metrics as a list"):
        canvas.draw_plot(history["loss"], history["loss"])


def answered(shares):
    history = hl.History()
    history.log(1, answers=np.full((9, 3), 1 / 3))
    history.log(20, answers=torch.tensor(shares))
    return history["answers"]


SHARES = [[0.1, 0.7, 0.2]] * 8 + [[0.51, 0.49, 0.0]]


def test_predictions_stand_above_their_images_and_wrong_ones_stand_out():
    images, labels = torch.rand(9, 1, 4, 6), torch.tensor([1, 1, 1, 2, 1, 1, 1, 1, 0])
    canvas = hl.Canvas()
    with canvas:
        canvas.draw_predictions(answered(SHARES), images, labels, "abc")
    (ax,) = canvas.figure.axes
    texts = [text.get_text() for text in ax.texts]
    assert texts == ["b (70%), b"] * 3 + ["b (70%), c"] + ["b (70%), b"] * 4 + ["a (51%), a"]
    framed = [text for text in ax.texts if text.get_bbox_patch()]
    assert [text.get_text() for text in framed] == ["b (70%), c"]
    assert framed == [text for text in ax.texts if text.get_color() == COLORS[1]]
    assert ax.get_title() == "answers at step 20: 8 of 9 right"
    (drawn,) = ax.images
    paper = drawn.get_array()
    assert drawn.get_clim() == (0, 1)
    assert paper.shape == (2 * 5, 8 * 8)
    for number, text in enumerate(ax.texts):
        left, below = text.get_position()
        top = number // 8 * 5 + 1
        assert top - 1 <= below <= top  # in the row above it
        assert left == number % 8 * 8 + 1 + 3  # over its middle
        shown = paper[top : top + 4, int(left) - 3 : int(left) + 3]
        np.testing.assert_array_equal(shown, images[number, 0])
    assert paper.mask.sum() == paper.size - 9 * 24  # paper, where there is no image
    assert is_drawn(decode(canvas.png))


def test_predictions_with_long_names_take_two_lines():
    canvas = hl.Canvas()
    labels = np.zeros(9, int)
    canvas.draw_predictions(
        answered(SHARES), np.zeros((9, 1, 28, 28)), labels, ["Coat", "Bag", "Dress"]
    )
    (ax,) = canvas.figure.axes
    assert ax.texts[0].get_text() == "Bag (70%),\nCoat"


@pytest.mark.parametrize("images, labels", [(8, 9), (9, 8), (0, 0)])
def test_predictions_of_other_images_are_refused(images, labels):
    canvas = hl.Canvas()
    with pytest.raises(ValueError, match=r"a row of 3 probabilities for each of .*\(9, 3\)"):
        canvas.draw_predictions(
            answered(SHARES), torch.zeros(images, 1, 4, 4), torch.zeros(labels).long(), "abc"
        )
