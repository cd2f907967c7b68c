"""Data on their way into a pane, method by method: what is sent, and what is refused.

The client writes what it would send into a file, so there is no server here, and what is told is
told of every release of Visdom that is installed.
"""

import base64
import io
import json

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.visdom.client import VisdomClient
from helpers.visdom.values import GAPS, numbers, picture, sendable

NAN, INF = float("nan"), float("inf")


@pytest.fixture
def sent(tmp_path):
    """A function that calls a drawing method and gives back what was sent, read as JSON."""
    client = VisdomClient(offline=True, log_to_filename=str(tmp_path / "log"))

    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    def call(method, *data, **options):
        getattr(client, method)(*data, win="win", **options)
        last = (tmp_path / "log").read_text(encoding="utf-8").splitlines()[-1]
        return json.loads(last, parse_constant=refuse)[1]

    return call


def pixels(message):
    source = message["data"][0]["content"]["src"]
    image = Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2])))
    return np.asarray(image.convert("RGBA" if image.mode == "RGBA" else "RGB"))


TABLE = [[1.0, NAN], [2.0, INF], [-INF, 3.0]]
KINDS = {
    "tensor": torch.tensor,
    "with gradient": lambda data: torch.tensor(data, requires_grad=True),
    "array": np.array,
    "lists": lambda data: data,
    "lists of losses": lambda data: [
        [torch.tensor(x, requires_grad=True) for x in r] for r in data
    ],
    "list of tensors": lambda data: [torch.tensor(row, requires_grad=True) for row in data],
    "tuple": tuple,
    "bfloat16": lambda data: torch.tensor(data).bfloat16(),
    "half": lambda data: torch.tensor(data).half(),
}
kinds = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def columns(message):
    return [list(column) for column in zip(*message["data"][0]["z"], strict=True)]


COLUMNS = [[1, 2, None], [None, None, 3]]
GAP_CASES = {
    "line": lambda sent, data: [t["y"] for t in sent("line", data, X=[0, 1, 2])["data"]],
    "scatter": lambda sent, data: [sent("scatter", data)["data"][0][axis] for axis in "xy"],
    "bar": lambda sent, data: [t["y"] for t in sent("bar", data)["data"]],
    "boxplot": lambda sent, data: [t["y"] for t in sent("boxplot", data)["data"]],
    "heatmap": lambda sent, data: columns(sent("heatmap", data)),
    "surf": lambda sent, data: columns(sent("surf", data)),
    "contour": lambda sent, data: columns(sent("contour", data)),
    "stem": lambda sent, data: [t["y"][1::3] for t in sent("stem", data)["data"]],
}


@kinds
@pytest.mark.parametrize("method", GAPS)
def test_nan_and_infinity_are_a_gap_where_one_can_be_drawn(sent, method, kind):
    assert GAP_CASES[method](sent, kind(TABLE)) == COLUMNS


@pytest.mark.parametrize("method", ["surf", "contour"])
def test_colours_go_from_the_smallest_to_the_largest_number_that_there_is(sent, method):
    (trace,) = sent(method, TABLE)["data"]
    assert (trace["cmin"], trace["cmax"]) == (1, 3)
    (trace,) = sent(method, np.full((2, 2), NAN))["data"]
    assert trace["cmin"] < trace["cmax"]


def test_a_gap_in_three_dimensions(sent):
    (trace,) = sent("scatter", [[1.0, 2.0, NAN], [3.0, 4.0, 5.0]])["data"]
    assert trace["z"] == [None, 5]


@kinds
@pytest.mark.parametrize("method", ["histogram", "pie", "mesh", "quiver"])
def test_elsewhere_they_are_refused_with_method_and_argument(sent, method, kind):
    data = kind([[0.0, NAN], [1.0, 0.0], [0.0, INF]])
    if method in ("histogram", "pie"):
        data = data[0]
    arguments = {"Y": [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]} if method == "quiver" else {}
    with pytest.raises(ValueError, match=rf"^{method}: X holds \d NaN or infinite numbers.*leave"):
        sent(method, data, **arguments)


def test_the_remedy_that_is_named_works(sent):
    X = torch.tensor([0.0, NAN, 1.0])
    with pytest.raises(ValueError, match=r"replace them \(torch\.nan_to_num\(X\)\)"):
        sent("pie", X)
    assert sent("pie", torch.nan_to_num(X))["data"][0]["values"] == [0, 0, 1]


def test_a_single_number_is_a_series_of_one(sent):
    loss = torch.tensor(0.5, requires_grad=True)
    for value in (loss, 0.5, np.float32(0.5), [loss], loss.detach().bfloat16()):
        (trace,) = sent("line", value, X=torch.tensor(3), name="loss", update="append")["data"]
        assert (trace["x"], trace["y"]) == ([3], [0.5])


@pytest.mark.parametrize("method", ["stem", "bar", "boxplot", "pie"])
def test_where_visdom_needs_two_numbers_one_is_refused(sent, method):
    """It drops each axis of length 1, and then there is none left."""
    for value in (5.0, [5.0], torch.ones(1, 1)):
        with pytest.raises(ValueError, match=f"{method}: X holds one number; .* two or more"):
            sent(method, value)
    assert sent(method, [5.0, 1.0])["data"]


def test_whole_numbers_and_truth_values_are_numbers(sent):
    assert sent("bar", torch.tensor([True, False]))["data"][0]["y"] == [1, 0]
    assert sent("line", torch.arange(3), X=[0, 1, 2])["data"][0]["y"] == [0, 1, 2]


def test_complex_numbers_and_ragged_rows_are_refused(sent):
    with pytest.raises(ValueError, match=r"line: Y holds complex numbers; draw Y\.real"):
        sent("line", torch.tensor([1 + 1j]))
    with pytest.raises(ValueError, match="line: the rows of Y differ in length"):
        sent("line", [[1.0, 2.0], [1.0]])


def test_options_are_converted_at_every_depth_and_finite(sent):
    scene = {"camera": {"eye": {"x": torch.tensor(1.5), "y": np.float32(2)}}}
    message = sent(
        "heatmap",
        [[1.0, 2.0]],
        opts={"xmin": torch.tensor(0.5), "layoutopts": {"plotly": {"scene": scene}}},
    )
    assert message["data"][0]["zmin"] == 0.5
    assert message["layout"]["scene"]["camera"]["eye"] == {"x": 1.5, "y": 2}
    with pytest.raises(
        ValueError, match="heatmap: the option xmin must be a finite number, got nan"
    ):
        sent("heatmap", [[1.0]], opts={"xmin": NAN})


SIGNS = "训练 日本語 😀 a < b & \"c\" 'd' <b>e</b>\nf"


def test_text_arrives_as_it_was_written(sent):
    opts = {"title": SIGNS, "legend": [SIGNS, "b"], "xlabel": SIGNS}
    message = sent("line", [[1.0, 2.0], [3.0, 4.0]], X=[0, 1], opts=opts)
    assert message["opts"]["title"] == message["layout"]["title"] == SIGNS
    assert message["data"][0]["name"] == message["layout"]["xaxis"]["title"] == SIGNS
    message = sent("bar", [1.0, 2.0], opts={"rownames": [SIGNS, "b"]})
    assert message["data"][0]["x"] == [SIGNS, "b"]
    assert sent("text", SIGNS)["data"][0]["content"] == SIGNS


# ---- images ----

RAMP = torch.linspace(0, 1, 64).reshape(1, 8, 8)
GREY = np.rint(255 * RAMP[0].numpy()).astype(int)
BYTES = torch.arange(64, dtype=torch.uint8).reshape(8, 8) * 4
DRAWN = {
    "float": (RAMP, GREY),
    "beyond 1 by rounding": (RAMP * 1.000001, GREY),
    "below 0 by rounding": (RAMP - 1e-7, GREY),
    "float64": (RAMP.double(), GREY),
    "half": (RAMP.half(), np.rint(255 * RAMP[0].half().float().numpy())),
    "with gradient": (RAMP.clone().requires_grad_(), GREY),
    "height x width": (RAMP[0], GREY),
    "three channels": (RAMP.repeat(3, 1, 1), GREY),
    "lists": (RAMP[0].tolist(), GREY),
    "bytes": (BYTES, BYTES),
    "long": (BYTES.long(), BYTES),
    "dark bytes": (BYTES // 252, BYTES // 252),
    "mask": (RAMP[0] > 0.5, 255 * (RAMP[0] > 0.5)),
    "black": (torch.zeros(8, 8), np.zeros((8, 8))),
}


@pytest.mark.parametrize("image, grey", DRAWN.values(), ids=DRAWN)
def test_an_image_is_drawn_with_its_own_greys(sent, image, grey):
    drawn = pixels(sent("image", image))
    assert drawn.shape == (8, 8, 3)
    for channel in range(3):
        np.testing.assert_array_equal(drawn[..., channel], np.asarray(grey))


REFUSED = {
    "normalized": (
        (RAMP - 0.1307) / 0.3081,
        r"from -0\.4242 to 2\.821; wanted are floats in \[0, 1",
    ),
    "from -1 to 1": (2 * RAMP - 1, "from -1 to 1; wanted are floats"),
    "floats to 255": (RAMP * 255, r"wanted are floats in \[0, 1\] or bytes.*divide by 255"),
    "one NaN": (torch.where(RAMP == 0, NAN, RAMP), "img holds 1 NaN or infinite"),
    "large ints": (BYTES.long() * 9, "from 0 to 2268; wanted are"),
    "0 and 1 as ints": (torch.eye(8).long(), "make it bool"),
    "channels last": (torch.rand(8, 8, 3), r"the shape \(8, 8, 3\).*permute\(2, 0, 1\)"),
    "two channels": (torch.rand(2, 8, 8), r"wanted is \(channels, height, width\) with 1, 3 or 4"),
    "a batch": (torch.rand(5, 1, 8, 8), "wanted is"),
    "a series": (torch.rand(8), "wanted is"),
    "empty": (torch.zeros(1, 0, 8), "not empty"),
    "one row": (RAMP[:, :1], "1 x 8 pixels, too thin"),
    "complex": (RAMP + 1j, "complex"),
}


@pytest.mark.parametrize("image, message", REFUSED.values(), ids=REFUSED)
def test_an_image_that_would_come_out_wrong_is_refused(sent, image, message):
    with pytest.raises(ValueError, match=f"^image: .*{message}"):
        sent("image", image)


def test_a_batch_is_named_as_wanted_only_where_one_is_drawn(sent):
    one, batch = r"width\) with .*, or \(height, width\)", r", or a batch \(images, channels"
    with pytest.raises(ValueError, match=one) as image:
        sent("image", torch.rand(2, 8, 8))
    assert "a batch" not in str(image.value)
    with pytest.raises(ValueError, match=one + batch):
        sent("images", torch.rand(5, 2, 8, 8))


def test_the_remedies_that_are_named_work(sent):
    normalized = (RAMP - 0.1307) / 0.3081
    np.testing.assert_array_equal(pixels(sent("image", normalized * 0.3081 + 0.1307))[..., 0], GREY)
    stretched = sent("image", normalized, opts={"normalize": True})
    np.testing.assert_array_equal(pixels(stretched)[..., 0], GREY)
    assert pixels(sent("image", torch.rand(8, 6, 3).permute(2, 0, 1))).shape == (8, 6, 3)
    row = RAMP[:, :1].repeat_interleave(20, -2)
    assert pixels(sent("image", row)).shape == (20, 8, 3)
    assert pixels(sent("image", torch.eye(8).long().bool())).max() == 255


def test_a_fourth_channel_is_opacity(sent):
    assert pixels(sent("image", torch.rand(4, 8, 8))).shape == (8, 8, 4)


@pytest.mark.parametrize(
    "make",
    [lambda: RAMP.expand(3, 1, 8, 8), lambda: [RAMP.clone().requires_grad_()] * 3],
    ids=["batch", "list with gradients"],
)
def test_a_grid_of_images_keeps_their_greys(sent, make):
    drawn = pixels(sent("images", make(), nrow=3))
    np.testing.assert_array_equal(drawn[3:11, 15:23, 0], GREY)
    assert drawn[0, 0].tolist() == [255, 255, 255]


def test_a_grid_of_bytes_is_as_bright_as_they_are(sent):
    drawn = pixels(sent("images", BYTES.expand(2, 1, 8, 8)))
    np.testing.assert_array_equal(drawn[3:11, 3:11, 0], BYTES)
    assert drawn[0, 0].tolist() == [255, 255, 255]


# ---- histograms ----

HISTOGRAMS = {
    "constant": np.full(5, 1e9),
    "zeros": np.zeros(5),
    "hardly spread": torch.tensor([1.0, 1.0 + 1.2e-7]),
    "half": torch.tensor([1.0, 1.001]).half(),
    "huge": np.float32([3.4e38, -3.4e38]),
    "huge float64": np.array([1.7e308, -1.7e308]),
    "whole": torch.arange(9),
    "bool": torch.tensor([True, False]),
    "one": torch.tensor([3.0]),
    "a matrix": torch.ones(3, 3),
    "empty": torch.zeros(0),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("values", HISTOGRAMS.values(), ids=HISTOGRAMS)
def test_a_histogram_of_anything_finite_counts_every_value(sent, values):
    (trace,) = sent("histogram", values, opts={"numbins": 10})["data"]
    assert sum(trace["y"]) == np.prod(np.shape(values))
    assert len(trace["x"]) == 10
    assert trace["x"] == sorted(set(trace["x"]))


def test_a_bar_of_a_histogram_stands_in_the_middle_of_its_bin(sent):
    (trace,) = sent("histogram", [0.0, 0.9, 1.1, 4.0], opts={"numbins": 4})["data"]
    assert (trace["x"], trace["y"]) == ([0.5, 1.5, 2.5, 3.5], [2, 1, 0, 1])


@pytest.mark.parametrize(("values", "bars"), [(100, 30), (30, 30), (9, 9), (2, 3), (1, 3), (0, 3)])
def test_a_histogram_has_thirty_bars_or_as_many_as_there_are_values(sent, values, bars):
    (trace,) = sent("histogram", torch.linspace(5, 6, values))["data"]
    assert len(trace["x"]) == bars and sum(trace["y"]) == values


def test_a_single_number_has_its_bar_in_the_middle(sent):
    (trace,) = sent("histogram", [7.0])["data"]
    assert trace["x"][1] == pytest.approx(7) and trace["y"] == [0, 1, 0]


@pytest.mark.parametrize("bins", [1, 0, -3, 2.5, True, "30"])
def test_a_number_of_bars_that_visdom_cannot_draw_is_named(sent, bins):
    with pytest.raises(ValueError, match=f"numbins is {bins!r}; .* a whole number, 2 or more"):
        sent("histogram", [1.0, 2.0], opts={"numbins": bins})


# ---- what everything passes through ----


def test_text_is_no_number():
    assert numbers("sunburst", "labels", ["a", "b"]) == ["a", "b"]
    assert numbers("table", "data", [["a", 1.5]]) == [["a", 1.5]]
    assert numbers("properties", "data", [{"type": "button"}]) == [{"type": "button"}]
    np.testing.assert_array_equal(numbers("line", "Y", [1.0, None, INF]), [1, NAN, NAN])


def test_nothing_that_json_lacks_is_sent():
    message = {"a": [NAN, (INF, 1.0)], "b": np.float32(2), "c": {"d": torch.tensor([NAN, 1.0])}}
    assert sendable(message) == {"a": [None, [None, 1.0]], "b": 2.0, "c": {"d": [None, 1.0]}}


def test_pictures_are_floats_from_0_to_1():
    assert picture("images", "tensor", BYTES).max() == 252 / 255
    assert picture("images", "tensor", BYTES).shape == (3, 8, 8)
