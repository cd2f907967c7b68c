"""hiddenlayer's Canvas, mended: a picture that is redrawn while a network learns.

The interface is that of hiddenlayer 0.3 (https://github.com/waleedka/hiddenlayer); the class
here subclasses its own and leaves it as it is. What it draws is in ``panels.py``; here is how the
panels become one picture, and how it is shown and saved.
"""

import functools
import io
from pathlib import Path

import hiddenlayer.canvas
from IPython import get_ipython
from IPython.display import Image, display
from matplotlib import font_manager, rc_context, rcParams
from matplotlib.figure import Figure

from helpers.files import replacing
from helpers.hiddenlayer import panels

SCRIPTS = (
    "cjk sc",
    "cjk",
    "wenquanyi",
    "source han",
    "yahei",
    "simhei",
    "pingfang",
    "hiragino",
    "yu gothic",
    "ms gothic",
)
"""In the names of fonts that have Chinese and Japanese characters, on Linux, Windows and macOS."""


class Canvas(hiddenlayer.canvas.Canvas):
    """A picture of stacked panels, one ``draw_`` call each.

    Inside ``with canvas:`` the calls are collected, and the picture is redrawn at the end; an
    empty block draws nothing. In a notebook the picture appears below the cell and is replaced
    at each redraw. What the cell prints stays: above the picture if it was printed before the
    first one, else below. In a script only ``save`` shows the picture. A subclass may add
    panels: a method whose name begins with ``draw_`` and that draws on ``self.ax``, matplotlib
    Axes.

    ``figure`` is the matplotlib Figure and ``png`` the picture that was shown last, as bytes of
    a PNG file; ``redraws`` counts the pictures. ``theme`` holds the width of the figure and the
    height of a panel in inches; with 100 dots an inch, three panels fit a laptop's screen.
    """

    draw_summary = panels.draw_summary
    draw_plot = panels.draw_plot
    draw_image = panels.draw_image
    draw_hist = panels.draw_hist
    draw_predictions = panels.draw_predictions

    def __init__(self) -> None:
        super().__init__()
        self.theme = {"fig_width": 9, "panel_height": 1.7}
        self.png = b""
        self.redraws = 0
        self._shown_in = None
        self._handle = None

    def __exit__(self, *exception: object) -> None:
        if exception[0] is None and self.drawing_calls:
            self.render()
        self.drawing_calls, self._context = [], None

    def render(self) -> None:
        """Draw the collected calls and show the picture. Called for you."""
        self._context = "run"
        try:
            with _style():
                self._draw(self.drawing_calls)
                buffer = io.BytesIO()
                # Fast compression: the picture is short-lived; a smaller one takes a sixth longer.
                self.figure.savefig(buffer, format="png", pil_kwargs={"compress_level": 1})
        finally:
            self.ax = self.gs = self._context = None
            self.drawing_calls = []
        self.png = buffer.getvalue()
        self.redraws += 1
        self._show()

    def _draw(self, calls: list) -> None:
        panels = [call for call in calls if call[0] != "draw_summary"]
        head = [call for call in calls if call[0] == "draw_summary"]
        width, height = self.theme["fig_width"], self.theme["panel_height"]
        # Inches: a fixed margin costs nothing, where tight_layout draws everything twice.
        above, below, gap = 0.35 + 0.55 * bool(head), 0.55, 0.8
        total = above + len(panels) * height + max(len(panels) - 1, 0) * gap + below
        self.figure = Figure((width, total), dpi=100)  # quicker than clearing the one before
        for name, arguments, options in head:
            getattr(self, name)(*arguments, **options)
        if not panels:
            return
        grid = self.figure.add_gridspec(
            len(panels),
            hspace=gap / height,
            left=0.8 / width,
            right=1 - 0.75 / width,
            top=1 - above / total,
            bottom=below / total,
        )
        for cell, (name, arguments, options) in zip(grid, panels, strict=True):
            self.gs, self.ax = cell, self.figure.add_subplot(cell)
            getattr(self, name)(*arguments, **options)

    def _show(self) -> None:
        """Show the picture below the running cell, in place of the one before."""
        shell = get_ipython()
        if shell is None or not hasattr(shell, "kernel"):
            return
        titles = "; ".join(ax.get_title() for ax in self.figure.axes if ax.get_title())
        # Not alt=, which IPython 7 hasn't got; that is Colab's.
        picture = Image(self.png, format="png", metadata={"alt": f"Canvas: {titles}"})
        # An update is drawn in place. Clearing the output first would take along what the cell
        # printed, and would let the page jump.
        if self._shown_in == shell.execution_count:
            self._handle.update(picture)
        else:
            self._handle = display(picture, display_id=True)
            self._shown_in = shell.execution_count

    def save(self, file_name: Path | str) -> None:
        """Save the last picture; the ending of the name chooses the format (png, pdf, svg).

        A file of that name stays as it was until the new one is whole.

        Raises ValueError if nothing has been drawn, OSError if the file can't be written.
        """
        if not self.redraws:
            raise ValueError("the canvas is empty: draw on it before you save it")
        with replacing(file_name) as path, _style():
            self.figure.savefig(path)


def _style() -> rc_context:
    return rc_context(
        {
            "axes.titley": 1.0,  # a fixed place needs no search for one
            "font.family": [*rcParams["font.family"], *_fonts_for_other_scripts()],
        }
    )


@functools.cache
def _fonts_for_other_scripts() -> list[str]:
    """A font with Chinese and Japanese characters, if one is installed.

    matplotlib takes from it, character by character, what its own font doesn't have.
    """

    def found() -> list[str]:
        names = sorted({font.name for font in font_manager.fontManager.ttflist})
        return [name for script in SCRIPTS for name in names if script in name.lower()][:1]

    if not found():  # matplotlib's list of fonts is older than the font, or there is none
        for path in font_manager.findSystemFonts():
            if any(part in path.lower() for part in ("cjk", "wqy", "hansans")):
                font_manager.fontManager.addfont(path)
    return found()
