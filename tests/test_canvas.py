"""hiddenlayer's History and Canvas as the course mends them, and hiddenlayer itself left alone."""

import io
import subprocess
import sys
import textwrap

import hiddenlayer
import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
import torch
from nbclient import NotebookClient
from PIL import Image

from helpers import hiddenlayer as hl
from helpers.canvas import COLORS, DASHES, MARKERS

# A tick label that isn't at its tick was one of hiddenlayer's faults; it came with a warning.
# Not what another test left open, whose end may fall into one of these.
pytestmark = pytest.mark.filterwarnings(
    "error", "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


def decode(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def is_drawn(pixels):
    """White paper with something on it."""
    ink = (pixels < 250).any(axis=2).mean()
    return 0.005 < ink < 0.9 and len(np.unique(pixels.reshape(-1, 3), axis=0)) > 20


@pytest.fixture
def history():
    """Entries at three steps in two epochs, and a matrix at the last two only."""
    history = hl.History()
    history.log((1, 10), loss=2.5)
    history.log((1, 20), loss=1.25, matrix=np.arange(6.0).reshape(2, 3))
    history.log((2, 10), loss=0.123456, matrix=-np.arange(6.0).reshape(2, 3))
    return history


def test_metric_has_the_steps_at_which_it_was_logged(history):
    with pytest.raises(ValueError):  # hiddenlayer's own, which this replaces
        hiddenlayer.history.Metric(history, "matrix")
    matrix = history["matrix"]
    assert matrix.steps == [(1, 20), (2, 10)]
    assert matrix.formatted_steps == ["1:20", "2:10"]
    np.testing.assert_array_equal(matrix.data[1], [[0, -1, -2], [-3, -4, -5]])
    assert history["loss"].data.tolist() == [2.5, 1.25, 0.123456]


def test_steps_come_in_order_however_they_were_logged():
    history = hl.History()
    for step in (20, 3, 100):
        history.log(step, value=2 * step)
    assert history["value"].steps == [3, 20, 100]
    assert history["value"].data.tolist() == [6, 40, 200]


def test_unknown_metric_and_changed_shape_are_named(history):
    with pytest.raises(KeyError, match=r"no metric 'los'.*loss, matrix"):
        history["los"]
    with pytest.raises(KeyError, match="nothing yet"):
        hl.History()["loss"]
    history.log((2, 20), matrix=np.zeros((5, 3)))
    with pytest.raises(ValueError, match=r"matrix was logged in several shapes: \[\(2, 3\), \(5,"):
        history["matrix"]


@pytest.mark.parametrize("make", [np.zeros, torch.zeros], ids=["array", "tensor"])
def test_history_keeps_a_copy(make):
    value = make(3)
    history = hl.History()
    history.log(1, value=value)
    value[:] = 7
    assert history["value"].data.tolist() == [[0, 0, 0]]


def test_history_takes_parameters_and_single_numbers():
    history = hl.History()
    parameter = torch.nn.Parameter(torch.ones(2))
    history.log(1, weight=parameter, loss=(parameter * 2).sum(), share=np.float32(0.5))
    assert history["weight"].data.tolist() == [[1, 1]]
    assert history["loss"].data.tolist() == [4]
    assert history["share"].data.tolist() == [0.5]


def test_saved_history_comes_back(history, tmp_path):
    history.save(tmp_path / "history.pkl")
    later = hl.History()
    later.load(tmp_path / "history.pkl")
    assert later.step == (2, 10)
    assert later.metrics == {"loss", "matrix"}
    for name in later.metrics:
        assert later[name].steps == history[name].steps
        np.testing.assert_array_equal(later[name].data, history[name].data)
    later.log((2, 20), loss=0.1)
    assert len(later["loss"].steps) == 4


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


def test_empty_block_draws_nothing_and_says_nothing(capfd):
    canvas = hl.Canvas()
    with canvas:
        pass
    assert (canvas.redraws, canvas.png, canvas.figure) == (0, b"", None)
    assert capfd.readouterr() == ("", "")


def test_an_error_in_the_block_passes_through_and_draws_nothing(history):
    canvas = hl.Canvas()
    with pytest.raises(ZeroDivisionError), canvas:
        canvas.draw_plot(history["loss"])
        1 / 0  # noqa: B018
    assert canvas.redraws == 0
    with canvas:
        canvas.draw_plot(history["loss"])
    assert canvas.redraws == 1
    assert len(canvas.figure.axes) == 1


def test_an_error_in_a_panel_leaves_the_canvas_usable(history):
    canvas = hl.Canvas()
    with pytest.raises(ValueError, match="draw_plot needs numbers"), canvas:
        canvas.draw_plot(history["matrix"])
    with canvas:
        canvas.draw_plot(history["loss"])
    assert len(canvas.figure.axes) == 1


def test_a_redraw_neither_sleeps_nor_keeps_a_figure_open(history, monkeypatch):
    monkeypatch.setattr(plt, "pause", lambda seconds: pytest.fail("it sleeps"))
    monkeypatch.setattr(plt, "show", lambda *_, **__: pytest.fail("it shows pyplot's figures"))
    canvas = hl.Canvas()
    for _ in range(3):
        with canvas:
            canvas.draw_plot(history["loss"])
            canvas.draw_image(history["matrix"])
            canvas.draw_hist(history["matrix"])
    assert canvas.redraws == 3
    assert plt.get_fignums() == []


@pytest.mark.parametrize("ending, head", [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml")])
def test_save(history, tmp_path, ending, head):
    canvas = hl.Canvas()
    path = tmp_path / f"canvas.{ending}"
    with pytest.raises(ValueError, match="empty"):
        canvas.save(path)
    assert not path.exists()
    with canvas:
        canvas.draw_plot(history["loss"])
    canvas.save(path)
    assert path.read_bytes().startswith(head)
    if ending == "png":
        np.testing.assert_array_equal(decode(path.read_bytes()), decode(canvas.png))
        assert is_drawn(decode(canvas.png))


def test_a_subclass_may_add_a_panel(history):
    class PieCanvas(hl.Canvas):
        def draw_pie(self, metric, colors):
            self.ax.pie(abs(metric.data[-1].sum(axis=0)), colors=colors)

    canvas = PieCanvas()
    with canvas:
        canvas.draw_pie(history["matrix"], colors=COLORS)
        canvas.draw_plot(history["loss"])
    pie, plot = canvas.figure.axes
    assert len(pie.patches) == 3
    assert len(plot.lines) == 1


def test_three_panels_fit_a_laptops_screen(history):
    canvas = hl.Canvas()
    with canvas:
        canvas.draw_plot(history["loss"])
        canvas.draw_plot(history["loss"])
        canvas.draw_image(history["matrix"])
    height, width, _ = decode(canvas.png).shape
    assert width == 900
    assert 600 < height < 800


def test_code_that_imports_hiddenlayer_itself_sees_no_change():
    """In a process of its own: what hiddenlayer and matplotlib are, before and after."""
    program = """
        import hiddenlayer, hiddenlayer.canvas, hiddenlayer.history, matplotlib, matplotlib.pyplot

        def state():
            modules = hiddenlayer, hiddenlayer.canvas, hiddenlayer.history
            classes = hiddenlayer.Canvas, hiddenlayer.History, hiddenlayer.history.Metric
            names = [dict(vars(thing)) for thing in (*modules, *classes)]
            return names, dict(hiddenlayer.canvas.DEFAULT_THEME), dict(matplotlib.rcParams)

        before = state()
        from helpers.canvas import Canvas, History
        history, canvas = History(), Canvas()
        history.log(1, loss=1.0)
        canvas.theme["fig_width"] = 3
        with canvas:
            canvas.draw_plot(history["loss"])
        after = state()
        print(before == after, hiddenlayer.Canvas().theme["fig_width"])
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True
    )
    assert done.stdout == "True 12\n", done.stderr


class Recorder(NotebookClient):
    """Runs a notebook and keeps what the kernel said of its pictures, in order."""

    def process_message(self, msg, cell, cell_index):
        if msg["msg_type"] in ("display_data", "update_display_data", "clear_output"):
            content = msg["content"]
            picture = content.get("data", {}).get("image/png")
            identity = content.get("transient", {}).get("display_id")
            self.shown.append((cell_index, msg["msg_type"], identity, picture))
        return super().process_message(msg, cell, cell_index)


@pytest.fixture(scope="module")
def live():
    """A notebook with a canvas and a progress bar in one cell, and the canvas again in the next."""
    first = """
        import sys
        from tqdm import tqdm
        from helpers import hiddenlayer as hl

        history, canvas = hl.History(), hl.Canvas()
        form = {"file": sys.stdout, "mininterval": 0, "bar_format": "{n_fmt} of {total_fmt}"}
        for step in tqdm(range(1, 7), **form):
            print("step", step)
            history.log(step, loss=1 / step)
            with canvas:
                canvas.draw_plot(history["loss"])
            with canvas:
                pass
    """
    second = """
        canvas.draw_plot(history["loss"], title="Again")
        canvas.draw_plot(history["loss"], title="And again")
    """
    cells = [nbformat.v4.new_code_cell(textwrap.dedent(source)) for source in (first, second)]
    client = Recorder(nbformat.v4.new_notebook(cells=cells), timeout=120, kernel_name="python3")
    client.shown = []
    client.execute()
    return client


def test_live_cell_shows_one_picture_at_a_time_and_keeps_one(live):
    in_first = [entry[1:] for entry in live.shown if entry[0] == 0]
    kinds, identities, pictures = zip(*in_first, strict=True)
    assert kinds == ("display_data",) + 5 * ("update_display_data",)
    assert len(set(identities)) == 1
    assert len(set(pictures)) == 6
    stored = [output for output in live.nb.cells[0].outputs if "data" in output]
    assert [output.data["image/png"] for output in stored] == [pictures[-1]]
    assert stored[0].metadata["image/png"].alt == "Canvas: loss: 0.1667"


def test_what_the_live_cell_prints_stays(live):
    outputs = live.nb.cells[0].outputs
    text = "".join(output.text for output in outputs if output.output_type == "stream")
    for count in range(7):
        assert f"{count} of 6" in text
        assert count == 0 or f"step {count}\n" in text
    assert all(output.name == "stdout" for output in outputs if output.output_type == "stream")


def test_another_cell_gets_a_picture_of_its_own(live):
    first, second = live.nb.cells
    (picture,) = second.outputs
    assert picture.metadata["image/png"].alt == "Canvas: And again"
    assert [kind for cell, kind, *_ in live.shown if cell == 1] == [
        "display_data",
        "update_display_data",
    ]
    assert sum("data" in output for output in first.outputs) == 1
