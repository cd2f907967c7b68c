"""The Canvas: its panels become one picture, shown in place, and hiddenlayer is left alone."""

import subprocess
import sys
import textwrap

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
from matplotlib import font_manager
from nbclient import NotebookClient

import helpers.hiddenlayer.canvas as canvas_module
from helpers import hiddenlayer as hl
from helpers.hiddenlayer.panels import COLORS
from tests.helpers.hiddenlayer.conftest import decode, is_drawn

# A tick label that isn't at its tick was one of hiddenlayer's faults; it came with a warning.
# Not what another test left open, whose end may fall into one of these.
pytestmark = pytest.mark.filterwarnings(
    "error", "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


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
        from helpers.hiddenlayer import Canvas, History
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


def picture(history, title):
    canvas = hl.Canvas()
    with canvas:
        canvas.draw_plot(history["loss"], title=title)
    return canvas, decode(canvas.png).astype(int)


@pytest.mark.parametrize(
    "one, other",
    [("训练损失", "测试精度"), ("カタカナ", "ひらがな"), ("a < b & c", 'a > b " c')],
    ids=["Chinese", "Japanese", "signs"],
)
def test_titles_may_be_in_any_script(history, tmp_path, one, other):
    """What a font lacks is a box, and boxes are all alike; matplotlib warns of each."""
    canvas, pixels = picture(history, one)
    _, others = picture(history, other)
    assert (pixels != others).sum() > 100
    for ending in ("pdf", "svg", "png"):
        canvas.save(tmp_path / f"canvas.{ending}")
    np.testing.assert_array_equal(decode((tmp_path / "canvas.png").read_bytes()), pixels)
    assert canvas.figure.axes[0].get_title() == one


def test_labels_are_drawn_as_they_are_written(history):
    labels = ["训练 & <b>", 'two\nlines "q"']
    canvas = hl.Canvas()
    with canvas:
        canvas.draw_plot([history["loss"], history["loss"]], labels, title="a\nb")
    legend = canvas.figure.axes[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == labels


def test_a_picture_that_cannot_be_saved_leaves_the_old_one(history, tmp_path):
    canvas, _ = picture(history, "one")
    canvas.save(tmp_path / "a.png")
    old = (tmp_path / "a.png").read_bytes()
    with pytest.raises(ValueError, match="nonsense"):
        canvas.save(tmp_path / "a.nonsense")
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"file/a\.png can't be written"):
        canvas.save(tmp_path / "file" / "a.png")
    assert (tmp_path / "a.png").read_bytes() == old
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "file"]


def test_a_font_that_matplotlibs_list_does_not_have_yet_is_found_on_the_system(monkeypatch):
    """As after the font was installed: matplotlib keeps its list from before."""
    manager, added = font_manager.fontManager, []
    scripts = canvas_module.SCRIPTS
    before = [f for f in manager.ttflist if not any(s in f.name.lower() for s in scripts)]
    assert len(before) < len(manager.ttflist), "is no font with Chinese characters installed?"
    addfont = type(manager).addfont
    monkeypatch.setattr(manager, "ttflist", before)
    monkeypatch.setattr(
        manager, "addfont", lambda path: (added.append(path), addfont(manager, path))
    )
    (name,) = canvas_module._fonts_for_other_scripts.__wrapped__()
    assert any(script in name.lower() for script in scripts)
    assert added and len(added) < len(font_manager.findSystemFonts())
