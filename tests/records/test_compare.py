"""What counts as the same text, and what a figure's record sees."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageOps

from tests.records.compare import differences, marked, renewed
from tests.records.kernel import figure_says
from tests.records.pictures import likeness
from tests.records.says import figure


@pytest.mark.parametrize(
    ("stored", "now"),
    [
        ("~89.6% right", "~90.4% right"),
        ("~42 of ~128 neurons", "~45 of ~128 neurons"),
        ("accuracy ~0.462", "accuracy ~0.471"),
        ("~3.35e-04", "~3.30e-04"),
        ("y: 4 ~ 2.303 0.1 0 nan", "y: 4 ~ 2.297 0.12 0.01 nan"),
    ],
)
def test_what_another_machine_may_round_otherwise_is_the_same(stored, now):
    assert differences(stored, now) == []
    assert renewed(stored, now) == f"{stored}\n"  # and stays out of the diff


@pytest.mark.parametrize(
    ("stored", "now"),
    [
        ("~89.6% right", "~98.6% right"),
        ("~42 of ~128 neurons", "~24 of ~128 neurons"),
        ("accuracy ~0.462", "accuracy ~0.562"),
        ("315 steps", "316 steps"),
        ("~42 steps", "42 steps"),
        ("y: 4 ~ 2.303 0.1", "y: 4 ~ 2.303 0.2"),
        ("y: 4 ~ 2.303 0.1", "y: 5 ~ 2.303 0.1"),
        ("y: 4 ~ 2.303 0.1", "y: 4 ~ 2.303 nan"),
        ("loss ~0.5", "accuracy ~0.5"),
        ("one\ntwo", "one"),
    ],
)
def test_what_is_another_number_or_word_is_told(stored, now):
    assert differences(stored, now)
    assert renewed(stored, now) == f"{now}\n"


def test_numbers_that_the_code_says_are_exact():
    assert marked("500 images, 52% of it", "shown[:500]") == "500 images, ~52% of it"
    assert marked('"7"') == '"7"'


def says(change=lambda left, right: None):
    """The record of a figure of two panels, after a change to it."""
    drawn = Figure((8, 4))
    left, right = drawn.subplots(1, 2)
    left.plot([1, 2, 3], [3.0, 2.0, 1.5], label="train", color="C0")
    left.plot([1, 2, 3], [3.5, 3.0, 2.8], label="test", color="C1")
    left.fill_between([1, 2, 3], [2.5, 1.5, 1.0], [3.5, 2.5, 2.0], alpha=0.5)
    left.errorbar([2], [2.0], xerr=[0.5], color="C2")
    left.scatter([1, 3], [1.0, 3.0], s=20)
    left.annotate("best", (3, 1.5))
    left.set(title="Loss", xlabel="step", ylabel="nats")
    left.legend()
    right.imshow([[5, 1], [3, 9]], cmap="Blues")
    right.set(title="Confusion", xlabel="answer", ylabel="true class")
    right.set_xticks([0, 1], ["cat", "dog"])
    change(left, right)
    drawn.canvas.draw()
    return "\n".join(figure(1, figure_says(drawn), "3"))


def swap_names(left, right):
    one, other, *_ = left.lines
    one.set_label("test")
    other.set_label("train")
    left.legend()


@pytest.mark.parametrize(
    "change",
    [
        lambda left, right: left.set_ylabel(""),
        lambda left, right: right.set(xlabel="true class", ylabel="answer"),
        lambda left, right: (left.set_title("Confusion"), right.set_title("Loss")),
        swap_names,
        lambda left, right: right.images[0].set_data(np.array([[5, 3], [1, 9]])),
        lambda left, right: right.images[0].set_cmap("Reds"),
        lambda left, right: right.images[0].set_clim(0, 20),
        lambda left, right: right.set_xticks([0, 1], ["dog", "cat"]),
        lambda left, right: left.lines[0].set_ydata([3.0, 2.0, 1.9]),
        lambda left, right: left.lines[0].set_linestyle("--"),
        lambda left, right: left.lines[0].set_linewidth(2.5),
        lambda left, right: left.lines[0].set_alpha(0.5),
        lambda left, right: left.lines[0].set(marker="o", markersize=9),
        lambda left, right: left.collections[0].set_verts([[(1, 1.5), (2, 2), (3, 2.5)]]),
        lambda left, right: left.collections[0].set_alpha(0.2),
        lambda left, right: left.collections[1].set_segments([[(1, 2), (3, 2)]]),
        lambda left, right: left.collections[2].set_sizes([30]),
        lambda left, right: left.texts[0].set_text("last"),
        lambda left, right: left.texts[0].set_color("red"),
        lambda left, right: left.texts[0].set_fontsize(8),
        lambda left, right: left.texts[0].set_ha("right"),
        lambda left, right: setattr(left.texts[0], "xy", (2, 1.5)),
        lambda left, right: left.title.set(color="red", weight="bold"),
        lambda left, right: left.grid(),
        lambda left, right: left.legend(title="part"),
        lambda left, right: right.set_xticks([0, 0.5], ["cat", "dog"]),
        lambda left, right: right.tick_params(axis="x", labelrotation=30),
        lambda left, right: left.set_yscale("log"),
        lambda left, right: right.set_axis_off(),
        lambda left, right: right.set_frame_on(False),
        lambda left, right: left.axvline(2),
        lambda left, right: left.bar([1, 2], [3, 4]),
        lambda left, right: left.stairs([1, 2, 3]),
        lambda left, right: left.scatter([1, 2], [3, 4]),
        lambda left, right: left.figure.suptitle("Two panels"),
        lambda left, right: left.figure.supylabel("nats"),
        lambda left, right: left.figure.set_size_inches(8, 5),
        lambda left, right: left.figure.subplots_adjust(top=0.6),
    ],
)
def test_the_record_of_a_figure_sees(change):
    assert differences(says(), says()) == []
    assert differences(says(), says(change))


def test_pictures_of_one_thing_are_alike_and_others_are_not():
    picture = Image.new("RGB", (200, 100), "white")
    ImageDraw.Draw(picture).line([(10, 90), (60, 30), (190, 10)], fill="blue", width=6)
    assert likeness(picture, picture.resize((400, 200))) > 0.95
    assert likeness(picture, ImageOps.mirror(picture)) < 0.6
    assert likeness(picture, ImageOps.flip(picture)) < 0.6
    assert likeness(picture, picture.crop((0, 0, 100, 100))) == -1
