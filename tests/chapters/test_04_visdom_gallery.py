"""The windows that the gallery's chapter saved, opened again by another server."""

import base64
import io
import json
import re

import numpy as np
import psutil
import pytest
from PIL import Image
from sklearn.datasets import load_iris

from helpers.data import load_dataset, make_loader
from helpers.visdom import VisdomServer
from tests.conftest import ROOT
from tests.markdown import pictures

CHAPTER = "04_visdom_gallery"


@pytest.fixture(scope="module")
def run(run_chapter):
    return run_chapter(CHAPTER)


@pytest.fixture(scope="module")
def client(run):
    with VisdomServer(run.output_dir / "run-1" / "environments") as server:
        yield server.client()


@pytest.fixture(scope="module")
def data():
    return load_dataset()


@pytest.fixture
def window(client):
    """A function: what the server knows of a window."""
    return lambda win, env: json.loads(client.get_window_data(win, env=env))


@pytest.fixture
def plot(window):
    """A function: a plot's traces and its layout, after a look at its title in both places."""

    def plot(win, env, title):
        found = window(win, env)
        assert found["type"] == "plot"
        assert found["title"] == found["content"]["layout"]["title"] == title
        return found["content"]["data"], found["content"]["layout"]

    return plot


@pytest.fixture
def picture(window):
    """A function: an image window's picture as an array (rows, columns, 3)."""

    def picture(win, env, number=None):
        content = window(win, env)["content"]
        source = (content if number is None else content[number])["src"]
        assert source.startswith("data:image/png;base64,")
        image = Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2])))
        return np.asarray(image.convert("RGB"))  # Visdom 0.3 sends grey ones as grey

    return picture


def names(traces):
    return [trace["name"] for trace in traces]


def types(traces):
    return {trace["type"] for trace in traces}


def axis_titles(layout):
    return layout["xaxis"]["title"], layout["yaxis"]["title"]


# ---- what is there at all ----


def test_every_environment_and_every_window_is_there_after_save_stop_and_start(client):
    windows = {env: sorted(json.loads(client.get_window_data(env=env))) for env in ENVIRONMENTS}
    assert windows == ENVIRONMENTS
    assert sorted(client.get_env_list()) == sorted(ENVIRONMENTS)


MAIN = ["heatmap", "lines", "scatter-2d", "scatter-3d", "stems"]
ENVIRONMENTS = {
    "main": MAIN,
    "MyimagePlot": ["batch", "one-image", "text"],
    "training": ["confusion", "embedding", "live"],
    "gallery": ["bars", "boxes", "contour", "histogram", "mesh", "pie", "quiver", "surface"],
    "controls": ["chosen", "form"],
    "rate-0.00025": ["loss"],
    "rate-0.00125": ["loss"],
    "main-fork": [win for win in MAIN if win != "stems"],
    "imported": ["heatmap"],
    "replayed": ["decay"],
}


def test_nothing_remains_running(run):
    """Kernel and servers worked in the run's folder: no process is left that does."""
    folder = str(run.output_dir.parent)
    left = []
    for process in psutil.process_iter():
        try:
            paths = [process.cwd(), *(file.path for file in process.open_files())]
        except psutil.Error:
            continue
        if any(path.startswith(folder) for path in paths):
            left.append(process)
    assert left == []


# ---- main ----


def test_scatter_in_two_dimensions(plot):
    traces, layout = plot("scatter-2d", "main", "Iris in two dimensions · 二维散点图")
    check_iris(traces, "scatter", "xy")
    assert axis_titles(layout) == ("sepal length (cm)", "sepal width (cm)")


def test_scatter_in_three_dimensions(plot):
    traces, layout = plot("scatter-3d", "main", "Iris in three dimensions · 三维散点图")
    check_iris(traces, "scatter3d", "xyz")
    assert {trace["marker"]["size"] for trace in traces} == {4}
    titles = [layout["scene"][f"{axis}axis"]["title"] for axis in "xyz"]
    assert titles == ["sepal length", "sepal width", "petal length"]


def check_iris(traces, kind, axes):
    iris = load_iris()
    assert types(traces) == {kind}
    assert names(traces) == list(iris.target_names)
    for species, trace in enumerate(traces):
        points = np.stack([trace[axis] for axis in axes], axis=1)
        assert np.array_equal(points, iris.data[iris.target == species, : len(axes)])
        assert set(trace["marker"]["color"]) == {("#000000", "#0072b2", "#e69f00")[species]}


def test_activation_functions(plot):
    traces, layout = plot("lines", "main", "Three activation functions · 折线图")
    x = np.linspace(-6, 6, 100)
    curves = {"Sigmoid": 1 / (1 + np.exp(-x)), "Tanh": np.tanh(x), "ReLU": np.maximum(x, 0)}
    assert names(traces) == list(curves)
    assert [trace["line"]["dash"] for trace in traces] == ["solid", "dash", "dashdot"]
    for trace in traces:
        assert (trace["type"], trace["mode"]) == ("scatter", "lines")
        assert trace["x"] == pytest.approx(x, abs=1e-5)
        assert trace["y"] == pytest.approx(curves[trace["name"]], abs=1e-5)
    assert axis_titles(layout) == ("input", "output")
    assert layout["showlegend"]


def test_stems(plot):
    traces, layout = plot("stems", "main", "Sine and cosine as stems · 茎叶图")
    assert axis_titles(layout) == ("x", "value")
    assert names(traces) == ["sin", "cos"]
    x = np.linspace(-6, 6, 100)
    for trace, function in zip(traces, (np.sin, np.cos), strict=True):
        # A stem is three points: on the zero line, at the value, and a gap.
        assert trace["x"][0::3] == pytest.approx(x, abs=1e-5)
        assert trace["y"][0::3] == [0] * 100
        assert trace["y"][1::3] == pytest.approx(function(x), abs=1e-5)
        assert trace["y"][2::3] == [None] * 100


@pytest.mark.parametrize("env", ["main", "main-fork", "imported"])
def test_heatmap(plot, env):
    (trace,), _ = plot("heatmap", env, "Correlations in iris · 热力图")
    features = ["sepal length", "sepal width", "petal length", "petal width"]
    assert trace["type"] == "heatmap"
    assert trace["x"] == trace["y"] == features
    assert (trace["zmin"], trace["zmax"]) == (-1, 1)
    assert np.allclose(trace["z"], np.corrcoef(load_iris().data, rowvar=False))


# ---- MyimagePlot ----


@pytest.fixture(scope="module")
def batch(data, run):
    return next(iter(make_loader(data.train, batch_size=128, seed=run.parameters["seed"])))


def test_one_image(window, picture, batch):
    images, labels = batch
    found = window("one-image", "MyimagePlot")
    assert found["type"] == "image"
    assert found["title"] == f"One image, label {labels[0]} · 一张图像"
    assert (found["width"], found["height"]) == (280, 300)
    assert np.array_equal(
        picture("one-image", "MyimagePlot")[..., 0], (images[0, 0] * 255).byte().numpy()
    )


def test_batch_of_128_in_rows_of_16(window, picture, batch):
    images, _ = batch
    found = window("batch", "MyimagePlot")
    assert found["type"] == "image"
    assert found["title"] == "A batch of 128 images · 一个批次的图像"
    grid = picture("batch", "MyimagePlot")
    assert grid.shape == (8 * 32, 16 * 32, 3)
    for number in (0, 15, 16, 127):
        top, left = 32 * (number // 16) + 3, 32 * (number % 16) + 3  # Visdom adds 1 to its padding
        cell = grid[top : top + 28, left : left + 28, 0]
        assert np.array_equal(cell, (images[number, 0] * 255).byte().numpy())


def test_text(window):
    found = window("text", "MyimagePlot")
    assert found["type"] == "text"
    assert found["title"] == "A note · 可视化文本"
    assert found["content"].count("<br>") == 3
    assert "鸢尾花" in found["content"]


# ---- training ----


def logged_steps(run):
    batches = -(-8000 // run.parameters["batch_size"])
    every = run.parameters["log_every"]
    return list(range(every, run.parameters["epochs"] * batches + 1, every))


def test_live_lines_grew_to_the_end_and_show_learning(plot, run):
    (loss, accuracy), layout = plot("live", "training", "Training, live")
    assert (loss["name"], accuracy["name"]) == ("training loss", "test accuracy")
    assert types([loss, accuracy]) == {"scatter"}
    assert loss["x"] == accuracy["x"] == logged_steps(run)
    assert loss["y"] == sorted(loss["y"], reverse=True)
    assert loss["y"][0] == pytest.approx(2.29, abs=0.1)
    assert loss["y"][-1] < 0.8
    assert 0.7 < accuracy["y"][-1] < 0.95
    assert "yaxis" not in loss
    assert accuracy["yaxis"] == "y2"
    assert axis_titles(layout) == ("step", "cross-entropy (nats)")
    assert layout["yaxis2"]["title"] == "share of right answers"
    assert layout["yaxis2"]["overlaying"] == "y"
    assert layout["yaxis2"]["side"] == "right"


def test_image_history_holds_a_confusion_matrix_for_each_point(window, picture, plot, run):
    found = window("confusion", "training")
    assert found["type"] == "image_history"
    assert found["title"] == "Confusion matrix while it learns"
    assert len(found["content"]) == len(logged_steps(run))
    assert found["selected"] == len(logged_steps(run)) - 1
    (_, accuracy), _ = plot("live", "training", "Training, live")
    for number, value in enumerate(accuracy["y"]):
        matrix = picture("confusion", "training", number)[10::20, 10::20, 0] / 255
        assert matrix.shape == (10, 10)
        assert matrix.sum(1) == pytest.approx(np.ones(10), abs=0.04)  # of each digit, all
        assert np.diag(matrix).mean() == pytest.approx(value, abs=0.05)


def test_embedding_names_each_digit(plot, data):
    traces, layout = plot("embedding", "training", "500 digits as the network sees them")
    assert names(traces) == data.classes
    labels = data.test.tensors[1][:500].tolist()
    for digit, trace in enumerate(traces):
        numbers = [number for number, label in enumerate(labels) if label == digit]
        assert trace["text"] == [f"{digit} (test image {number})" for number in numbers]
        assert len(trace["x"]) == len(trace["y"]) == len(numbers)
        assert trace["mode"] == "markers"
    assert axis_titles(layout) == ("first principal component", "second principal component")
    # A network that learned puts the zeros and the ones in different places.
    centers = [np.array([np.mean(trace["x"]), np.mean(trace["y"])]) for trace in traces[:2]]
    spread = np.std(traces[0]["x"]) + np.std(traces[1]["x"])
    assert np.linalg.norm(centers[0] - centers[1]) > spread


# ---- gallery ----


def test_histogram_counts_every_training_image(plot, data):
    (trace,), layout = plot("histogram", "gallery", "Ink in the training images")
    assert trace["type"] == "bar"
    assert len(trace["y"]) == 40
    assert sum(trace["y"]) == len(data.train)
    ink = data.train.tensors[0].mean((1, 2, 3))
    width = (ink.max() - ink.min()).item() / 40
    assert trace["x"][0] == pytest.approx(ink.min().item() + width / 2)
    assert trace["x"][-1] == pytest.approx(ink.max().item() - width / 2)
    assert axis_titles(layout) == ("mean pixel", "images")


def test_bars_are_the_images_of_each_class(plot, data):
    traces, layout = plot("bars", "gallery", "Images of each class")
    assert types(traces) == {"bar"}
    assert names(traces) == ["train", "test"]
    for trace, part in zip(traces, (data.train, data.test), strict=True):
        assert trace["x"] == data.classes
        assert trace["y"] == part.tensors[1].bincount().tolist()
    assert layout["barmode"] == "stack"
    assert layout["xaxis"]["type"] == "category"
    assert axis_titles(layout) == ("class", "images")


def test_boxes_hold_as_many_images_of_each_class(plot, data):
    traces, layout = plot("boxes", "gallery", "Ink by class")
    assert types(traces) == {"box"}
    assert names(traces) == data.classes
    assert {len(trace["y"]) for trace in traces} == {300}
    medians = [np.median(trace["y"]) for trace in traces]
    assert np.argmin(medians) == 1
    assert np.argmax(medians) == 0
    assert medians[1] < medians[0] / 2  # as the text says
    assert axis_titles(layout) == ("class", "mean pixel")


@pytest.mark.parametrize(
    ("win", "title"),
    [("surface", "The mean 3 as a landscape"), ("contour", "The mean 3 as a map")],
)
def test_surface_and_contour_show_the_mean_of_all_threes(plot, data, win, title):
    (trace,), layout = plot(win, "gallery", title)
    if win == "contour":
        assert axis_titles(layout) == ("column", "row")
    else:
        assert layout["scene"]["zaxis"]["title"] == "mean pixel"
    images, labels = data.train.tensors
    mean = images[labels == 3].mean(0)[0].flip(0).numpy()
    assert trace["type"] == win
    assert np.allclose(trace["z"], mean, atol=1e-6)
    assert (trace["cmin"], trace["cmax"]) == (pytest.approx(mean.min()), pytest.approx(mean.max()))


def test_quiver_points_to_where_there_is_more_ink(plot, data):
    (trace,), layout = plot("quiver", "gallery", "Slopes of the mean 3")
    assert axis_titles(layout) == ("column", "row")
    count = 14 * 14
    shafts, heads = 3 * count, 4 * count
    assert trace["mode"] == "lines"
    assert len(trace["x"]) == len(trace["y"]) == shafts + heads
    x, y = (np.array(trace[axis][:shafts], dtype=float).reshape(14, 14, 3) for axis in "xy")
    images, labels = data.train.tensors
    mean = images[labels == 3].mean(0)[0].flip(0).reshape(14, 2, 14, 2).mean((1, 3)).numpy()
    slope_y, slope_x = np.gradient(mean)
    scale = np.hypot(slope_x, slope_y).max() / 1.5
    for column in range(14):
        for row in range(14):
            start, tip, _ = zip(x[column, row], y[column, row], strict=True)
            assert start == (column, row)
            arrow = (slope_x[row, column] / scale, slope_y[row, column] / scale)
            assert (tip[0] - column, tip[1] - row) == pytest.approx(arrow, abs=1e-4)


def test_pie_holds_all_parameters(plot):
    (trace,), _ = plot("pie", "gallery", "Where the 214,538 parameters are")
    assert trace["type"] == "pie"
    assert trace["labels"] == ["conv1", "conv2", "fc, first", "fc, second", "out"]
    assert trace["values"] == [160, 4640, 200832, 8256, 650]
    assert sum(trace["values"]) == 214_538


def test_mesh_is_a_closed_torus(plot):
    (trace,), _ = plot("mesh", "gallery", "A torus of 1,296 triangles")
    assert trace["type"] == "mesh3d"
    x, y, z = (np.array(trace[axis]) for axis in "xyz")
    assert len(x) == 36 * 18
    assert (np.hypot(x, y) - 2) ** 2 + z**2 == pytest.approx(np.full(len(x), 0.64), abs=1e-5)
    triangles = np.stack([trace[corner] for corner in "ijk"], axis=1)
    assert triangles.shape == (1296, 3)
    edges = np.sort(
        np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    )
    _, uses = np.unique(edges, axis=0, return_counts=True)
    assert set(uses) == {2}  # each edge between two triangles: no hole


# ---- controls, comparison, replay ----


def test_form_and_the_image_that_it_chooses(window, picture, data):
    form = window("form", "controls")
    assert form["type"] == "properties"
    assert form["title"] == "Choose an image"
    assert [(item["type"], item["name"], item["value"]) for item in form["content"]] == [
        ("select", "class", 3),
        ("number", "number", 0),
        ("button", "next", "next image"),
    ]
    assert form["content"][0]["values"] == data.classes
    images, labels = data.test.tensors
    first = labels.tolist().index(3)
    chosen = window("chosen", "controls")
    assert chosen["type"] == "image"
    assert chosen["title"] == f"Test image {first}, class 3"
    pixels = (images[first, 0] * 255).byte().numpy()
    assert np.array_equal(picture("chosen", "controls")[..., 0], pixels)


def test_the_two_runs_that_are_compared_share_their_title_and_their_steps(plot, run):
    losses = {}
    for env in ("rate-0.00025", "rate-0.00125"):
        (trace,), layout = plot("loss", env, "Training loss")
        assert trace["name"] == "loss"
        every = run.parameters["log_every"]
        assert trace["x"] == list(range(every, 6 * every + 1, every))
        assert axis_titles(layout) == ("step", "cross-entropy (nats)")
        losses[env] = trace["y"]
    assert losses["rate-0.00125"][-1] < 0.6 * losses["rate-0.00025"][-1]


def test_replayed_calls_are_the_recorded_ones(plot, run):
    (trace,), layout = plot("decay", "replayed", "Recorded offline")
    assert trace["x"] == list(range(1, 21))
    assert trace["y"] == pytest.approx(np.exp(-np.arange(1, 21) / 6))
    assert axis_titles(layout) == ("step", "exp(-step / 6)")
    log = run.output_dir / "run-1" / "offline.log"
    calls = [json.loads(line)[0] for line in log.read_text().splitlines()]
    assert calls == ["events"] + ["update"] * 19


def test_the_exported_window_is_the_one_that_is_there(window, run):
    exported = json.loads((run.output_dir / "run-1" / "heatmap.json").read_text(encoding="utf-8"))
    assert exported == window("heatmap", "main")


def test_the_second_solution_keeps_what_was_saved_only(run):
    folder = run.output_dir / "run-1" / "exercise"
    assert {path.name for path in folder.glob("*.json")} == {"main.json", "kept.json"}


# ---- the pictures ----


def sections():
    """Heading and text of each section of the chapter, code included."""
    notebook = json.loads((ROOT / "notebooks" / f"{CHAPTER}.ipynb").read_text(encoding="utf-8"))
    found = {}
    heading = None
    for cell in notebook["cells"]:
        if "solution" in cell["metadata"].get("tags", []):
            continue
        for line in "".join(cell["source"]).splitlines():
            if cell["cell_type"] == "markdown" and re.match("##+ ", line):
                heading = line
            found.setdefault(heading, []).append(line)
    return {heading: "\n".join(lines) for heading, lines in found.items()}


def test_every_section_that_draws_has_a_picture_of_its_own():
    shown = []
    for heading, text in sections().items():
        here = [picture.target for picture in pictures(text) if len(picture.description) >= 30]
        if re.search(r"\bwin=", text):
            assert here, f"{heading} draws, and has no picture"
        shown += here
    assert len(shown) == len(set(shown)) >= 24
    stored = {f"images/{path.name}" for path in (ROOT / "notebooks" / "images").glob("04_*.png")}
    assert stored == set(shown)


def test_pictures_are_sharp_small_and_not_empty():
    for path in (ROOT / "notebooks" / "images").glob("04_*.png"):
        assert path.stat().st_size < 300_000, path.name
        picture = Image.open(path)
        assert picture.width >= 500, path.name
        colors = picture.convert("RGB").getcolors(1 << 20)
        assert max(count for count, _ in colors) < 0.97 * picture.width * picture.height, path.name
