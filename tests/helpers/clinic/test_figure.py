"""The pictures of a chart."""

import io

import numpy as np
import pytest
from PIL import Image

from helpers.clinic import CLINIC_DIR, patient, read_chart
from helpers.clinic.figure import (
    as_image,
    draw_chart,
    draw_loss,
    draw_pair,
    draw_treatment,
    draw_weights,
)


def drawn(figure):
    """The figure's pixels, (height, width, 3)."""
    return np.asarray(Image.open(io.BytesIO(as_image(figure, "a figure").data)).convert("RGB"))


@pytest.mark.parametrize("letter", ["A", "E", "Q"])
def test_every_patient_has_the_same_eight_pictures(letter):
    """A ends in NaN, E is healthy, Q has another number of layers and no ReLU."""
    figure = draw_chart(patient(letter))
    heads = [
        "Loss",
        "Accuracy",
        "Norm of each",
        "Silent units",
        "Weights",
        "Gradients",
        "A batch",
        "Test images",
    ]
    for ax, head in zip(figure.axes, heads, strict=True):
        assert ax.get_title().startswith(head)
    assert [ax.get_xlabel() != "" for ax in figure.axes] == [True] * 6 + [False, True]
    assert drawn(figure).shape == (592, 1280, 3)


@pytest.mark.parametrize("letter", ["A", "E", "Q"])
def test_every_picture_has_its_room_on_the_page(letter):
    figure = draw_chart(patient(letter))
    figure.canvas.draw()
    boxes = [part.get_tightbbox() for part in (*figure.axes, *figure.texts)]
    for number, box in enumerate(boxes):
        assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 and box.y1 <= figure.bbox.y1
        assert not any(box.shrunk(0.95, 0.98).overlaps(other) for other in boxes[number + 1 :])


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_what_is_not_finite_is_shaded_and_said():
    loss, *_, weights, _, _, _ = draw_chart(patient("A")).axes
    assert texts(loss) == ["not finite\nfrom step 3 on"]
    assert "none at the end" in texts(weights)
    assert texts(draw_chart(patient("E")).axes[0]) == []


def test_curves_are_those_of_the_record():
    record = patient("E")
    loss, accuracy, norms, *_ = draw_chart(record).axes
    assert loss.lines[0].get_ydata() == pytest.approx(record.scalars["loss/train"][1])
    assert accuracy.lines[1].get_ydata() == pytest.approx(record.scalars["accuracy/test"][1])
    assert len(norms.lines) == 5


def test_a_layer_without_gradient_is_named_in_the_legend():
    norms = draw_chart(patient("J")).axes[2]
    names = [text.get_text() for text in norms.get_legend().get_texts()]
    assert names == ["conv1.0: none", "conv2.0: none", "fc.0", "fc.2", "out"]


def test_labels_stand_on_the_batch():
    record = patient("D")
    batch = draw_chart(record).axes[6]
    assert texts(batch)[:16] == ["0"] * 16  # sorted by class
    assert texts(batch)[16:] == record.labels["test"]


def test_test_images_prepared_otherwise_are_seen_in_the_batch():
    """Below the gap, dark on light has become light on dark."""
    picture = draw_chart(patient("C")).axes[6].images[0].get_array()
    half = len(picture) // 2
    assert picture[: half - 6].mean() > 200
    assert picture[half + 6 :].mean() < 60


def test_collapsed_weights_are_still_seen():
    healthy, sick = (
        read_chart(CLINIC_DIR / "lessons" / name)
        for name in ("healthy", "weight decay far too large")
    )
    pixels = drawn(draw_pair(draw_weights, healthy, sick)).astype(int)
    colourful = pixels.max(2) - pixels.min(2) > 60
    assert colourful[:, 450:].any(0).sum() < 30 < colourful[:, :400].any(0).sum()
    assert colourful[:, 450:].any()


def test_a_pair_is_named():
    healthy = read_chart(CLINIC_DIR / "lessons" / "healthy")
    left, right = draw_pair(draw_loss, healthy, patient("V")).axes
    assert (left.get_title(), right.get_title()) == ("healthy\nLoss", "V\nLoss")


def test_before_and_after_lie_over_each_other():
    loss, accuracy = draw_treatment(patient("H"), patient("L")).axes
    assert [line.get_label() for line in loss.lines] == ["before", "after"]
    for line, letter in zip(accuracy.lines, "HL", strict=True):
        assert line.get_ydata() == pytest.approx(patient(letter).scalars["accuracy/test"][1])
