"""TensorBoard's page over the run of the training chapter: each pane shows what was logged."""

import io
import re
import shutil

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from helpers.data import load_dataset, make_loader
from helpers.eventfiles import SummaryWriter
from helpers.model import ConvNet
from helpers.tensorboard import TensorBoardServer
from tests.browser.conftest import WatchedPage

CHAPTER = "02_tensorboardx_training"

PARAMETERS = sorted(name for name, _ in ConvNet().named_parameters())

WIDE = {"width": 1600, "height": 1200}

POINTS = "paths => paths.map(path => path.getAttribute('d').split(/[ML]/).length - 1)"
"""How many points each of some SVG paths has, as JavaScript."""


@pytest.fixture(scope="module")
def run(run_chapter):
    return run_chapter(CHAPTER)


@pytest.fixture(scope="module")
def logged(run):
    """How many log entries the run has made."""
    loader = make_loader(load_dataset().train, run.parameters["batch_size"])
    return run.parameters["epochs"] * len(loader) // run.parameters["log_every"]


@pytest.fixture(scope="module")
def trained(run, tmp_path_factory):
    """What the page shows right after the training: what the later sections write is left out."""
    folder = tmp_path_factory.mktemp("trained")
    for name in ("first-look", "training"):
        later = shutil.ignore_patterns("learning-rate-*")
        shutil.copytree(run.output_dir / "run-1" / name, folder / name, ignore=later)
    return folder


@pytest.fixture(scope="module")
def board(run, browser):
    """TensorBoard's page, wide enough for all its tabs; no request and no script may fail."""
    with TensorBoardServer(run.output_dir / "run-1") as server:
        watched = WatchedPage(browser, viewport=WIDE)
        page = watched.page
        page.goto(server.url)
        # TensorBoard starts to look for a projector's files when a page first asks, and gives
        # it a tab when a page asks the next time.
        for _ in range(100):
            page.locator("app-header-reload button").click()
            page.wait_for_timeout(500)
            if tab(page, "Projector").is_visible():
                break
        yield page
        problems = watched.unexpected({})
        watched.close()
    assert problems == []


def tab(board: Page, name: str) -> Locator:
    return board.locator("plugin-selector [role=tab]", has_text=re.compile(f"^ *{name} *$", re.I))


def cards(board: Page, name: str, kind: str, tags: str) -> Locator:
    """The cards that a pane shows after a click on its tab, for the tags that match a filter.

    With a filter, the first of the pane's groups holds what matches.
    """
    tab(board, name).click()
    board.locator("tf-tag-filterer input:visible").fill(tags)
    found = board.locator("tf-category-paginated-view:visible").first
    expect(found.get_by_text("Tags matching")).to_be_visible()
    return found.locator(kind)


def around(*parts: Locator, margin: int = 12) -> dict:
    """The smallest rectangle that holds these parts of a page, for a screenshot."""
    boxes = [part.bounding_box() for part in parts]
    left, top = (min(box[side] for box in boxes) - margin for side in ("x", "y"))
    right = max(box["x"] + box["width"] for box in boxes) + margin
    bottom = max(box["y"] + box["height"] for box in boxes) + margin
    return {"x": left, "y": top, "width": right - left, "height": bottom - top}


def ink(part: Locator) -> float:
    """The share of dark pixels in a part of the page, from 0 to 1."""
    pixels = np.asarray(Image.open(io.BytesIO(part.screenshot())).convert("L"))
    return (pixels < 100).mean()


def test_scalars_have_a_card_for_each_tag_and_both_losses_in_one(board, logged):
    found = cards(board, "Scalars", "tf-scalar-card", "^(loss|test/.*|few/.*)$")
    points = {"few/loss": 60, "loss": logged, "test/accuracy": logged}
    expect(found).to_have_count(len(points))
    for card, (tag, most) in zip(found.all(), points.items(), strict=True):
        expect(card.locator(".heading-label.name")).to_have_text(tag)
        expect(card.locator("path.line").first).to_be_visible()
        counts = card.locator("path.line").evaluate_all(POINTS)
        assert max(counts) == most
        assert counts.count(most) >= 2 - (tag == "test/accuracy")


def test_images_show_the_batch_the_answers_and_the_confusion_matrix(board, run):
    found = cards(board, "Images", "tf-image-loader", "^(test/(answers|confusion)|train/.*)$")
    expect(found).to_have_count(3)
    sizes = []
    for number, tag in enumerate(("test/answers", "test/confusion", "train/batch")):
        expect(found.nth(number).locator(".heading-label.name")).to_have_text(tag)
        image = found.nth(number).locator("img")
        expect(image).to_be_visible()
        expect(image).to_have_js_property("complete", True)
        sizes.append(image.evaluate("image => [image.naturalWidth, image.naturalHeight]"))
    rows = -(-run.parameters["batch_size"] // 12)
    assert sizes == [[900, 300], [640, 540], [12 * 30 + 2, rows * 30 + 2]]


def test_histograms_have_a_card_for_each_parameter(board, logged, take_picture):
    found = cards(board, "Histograms", "tf-histogram-loader", "(weight|bias)$")
    expect(found).to_have_count(10)
    for number, name in enumerate(PARAMETERS):
        expect(found.nth(number).locator(".heading-label.name")).to_have_text(name)
        expect(found.nth(number).locator("g.histogram path.outline")).to_have_count(logged)
    row = cards(board, "Histograms", "tf-histogram-loader", "0.weight")
    expect(row).to_have_count(3)
    take_picture("02_histograms", board, clip=around(*row.all()))


def test_distributions_have_a_card_for_each_parameter(board, logged):
    found = cards(board, "Distributions", "tf-distribution-loader", "(weight|bias)$")
    expect(found).to_have_count(10)
    for number, name in enumerate(PARAMETERS):
        expect(found.nth(number).locator(".heading-label.name")).to_have_text(name)
        lines = found.nth(number).locator("path.line")
        expect(lines).to_have_count(8)  # between quantiles
        assert set(lines.evaluate_all(POINTS)) == {logged}


def test_the_graph_opens_into_the_networks_modules(board, take_picture):
    tab(board, "Graphs").click()
    nodes = board.locator("tf-graph-scene g.node")
    expect(nodes.first).to_be_visible()
    network = board.locator('g.node[data-name="ConvNet"]')
    network.dblclick()
    expect(network).to_have_class(re.compile("expanded"))
    names = nodes.evaluate_all("nodes => nodes.map(node => node.dataset.name)")
    inside = ["Sequential[conv1]", "Sequential[conv2]", "Sequential[fc]", "Linear[out]"]
    assert {"input", "output", *(f"ConvNet/{module}" for module in inside)} <= set(names)
    scene = board.locator("tf-graph-scene #svg")
    scene.click(position={"x": 5, "y": 5})  # beside the network, which so loses its red frame
    board.get_by_text("Fit to screen").click()
    ends = [board.locator(f'g.node[data-name="{name}"]') for name in ("input", "output")]
    board.wait_for_timeout(1000)  # it glides to its size
    take_picture("02_graph", board, clip=around(network, *ends))


def test_the_projector_draws_its_points(board, take_picture):
    board.set_viewport_size({"width": 1120, "height": 640})  # it is drawn without a graphics card
    tab(board, "Projector").click()
    projector = board.frame_locator("iframe").frame_locator("iframe")
    expect(projector.locator(".numDataPoints")).to_have_text("500")
    expect(projector.locator(".dim")).to_have_text("64")
    canvas = projector.locator("#scatter canvas").first

    for _ in range(50):  # the thumbnails come a moment after the points
        if ink(canvas) > 0.005:
            break
        board.wait_for_timeout(500)
    assert 0.005 < ink(canvas) < 0.2
    take_picture("02_projector", board)
    board.set_viewport_size(WIDE)


def test_precision_recall_curves_are_drawn_for_each_digit(board, take_picture):
    found = cards(board, "PR Curves", "tf-pr-curve-card", "^class")
    expect(found).to_have_count(10)
    for digit in range(10):
        expect(found.nth(digit).locator(".heading-label.name")).to_have_text(f"class {digit}")
        expect(found.nth(digit).locator("path.line").first).to_be_visible()
        assert max(found.nth(digit).locator("path.line").evaluate_all(POINTS)) > 50
    found = cards(board, "PR Curves", "tf-pr-curve-card", "^class [23]")
    expect(found).to_have_count(2)
    parts = found.locator(".heading-label.name, vz-line-chart2").all()
    take_picture("02_pr_curves", board, clip=around(*parts, margin=4))


def test_hyperparameters_are_a_table_of_both_runs(board, run):
    rate, size = run.parameters["learning_rate"], run.parameters["batch_size"]
    tab(board, "HParams").click()
    table = board.locator("tf-hparams-table-view")
    expect(table.get_by_text(f"learning-rate-{rate:g}")).to_be_visible()
    text = " ".join(table.locator("vaadin-grid-cell-content").all_inner_texts())
    for part in ("batch size", "learning rate", "short_run/accuracy"):
        assert part in text
    for value in (f"{size:.2f}", f"{10 * rate:.5f}"):
        assert value in text


def test_text_is_a_table_of_the_parameters(board, run):
    rows = cards(board, "Text", "tf-text-loader", ".").locator("tr")
    expect(rows.nth(1)).to_be_visible()
    texts = rows.all_inner_texts()
    assert "dataset\tmnist-sample" in texts
    assert f"epochs\t{run.parameters['epochs']}" in texts


AS_WIDE_AS_AN_OUTPUT = {"width": 1120, "height": 600}


@pytest.fixture
def page_over(browser):
    """A function that opens TensorBoard's page over a folder, as wide as a notebook's output."""
    opened = []

    def open_page(folder):
        server = TensorBoardServer(folder)
        watched = WatchedPage(browser, viewport=AS_WIDE_AS_AN_OUTPUT)
        opened.append((server, watched))
        watched.page.goto(server.url)
        return watched.page

    yield open_page
    for server, watched in opened:
        problems = watched.unexpected({})
        watched.close()
        server.stop()
        assert problems == []


def test_after_the_training_both_losses_are_in_one_card(
    trained, page_over, run, logged, take_picture
):
    page = page_over(trained)
    page.get_by_role("checkbox", name="Scalars", exact=True).click()
    page.get_by_role("combobox", name="Filter tags (regex)").fill("^(loss|test/.*)$")
    page.get_by_role("button", name="Toggle settings side pane").click()
    for tag, lines in (("loss", ["loss/test", "loss/train"]), ("test/accuracy", ["run-1"])):
        card = page.locator("scalar-card").filter(has=page.get_by_text(tag, exact=True))
        rows = card.locator("tb-data-table-content-row")
        expect(rows).to_have_count(len(lines))
        for row, line in zip(rows.all(), lines, strict=True):
            expect(row).to_contain_text(str(logged * run.parameters["log_every"]))
            expect(row).to_contain_text(line)
        expect(card.locator("line-chart canvas")).to_be_visible()
        assert ink(card.locator("line-chart canvas")) > 0.001
    take_picture("02_time_series", page)


def test_the_first_look_is_one_run_with_one_curve(run, page_over, take_picture, tmp_path):
    """Before the batch and the network are added to it."""
    events = EventAccumulator(str(run.output_dir / "run-1" / "first-look")).Reload()
    with SummaryWriter(str(tmp_path / "first-look")) as writer:
        for point in events.Scalars("falling"):
            writer.add_scalar("falling", point.value, point.step)
    page = page_over(tmp_path)
    page.get_by_role("checkbox", name="Scalars", exact=True).click()
    card = page.locator("scalar-card")
    expect(card).to_have_count(1)
    expect(card).to_contain_text("falling")
    expect(card.locator("tb-data-table-content-row")).to_contain_text("first-look")
    expect(card.locator("tb-data-table-content-row")).to_contain_text("99")
    assert ink(card.locator("line-chart canvas")) > 0.001
    take_picture("02_first-look", page)
