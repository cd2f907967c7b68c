"""The pages of the chapter of many runs: Dask's dashboard, and TensorBoard's view of the runs."""

import sys
import time

import cloudpickle
import pytest
from playwright.sync_api import expect

from helpers.dask import DaskServer, Sweep, connect
from helpers.tensorboard import TensorBoardServer
from tests.browser.conftest import WatchedPage

CHAPTER = "06_many_runs"

BARS = """() => Bokeh.documents.flatMap(document => [...document._all_models.values()])
    .filter(model => model.type == 'ColumnDataSource' && model.data?.y && model.data.name)
    .map(model => model.data.name.filter(name => String(name).includes('train')).length)
    .reduce((one, other) => Math.max(one, other), 0)"""
"""How many bars of runs the task stream has, as JavaScript."""


# A worker has the course but not its tests.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


def nap(settings, data, writer):
    time.sleep(settings["seconds"])
    return {"n": settings["n"]}


def test_the_dashboard_draws_a_bar_for_each_run(browser, tmp_path, take_picture):
    runs = [{"n": n, "seconds": 0.15 + 0.1 * (n % 3)} for n in range(24)]
    with DaskServer(2) as server:
        client = connect(server)
        watched = WatchedPage(browser, viewport={"width": 1120, "height": 620})
        page = watched.page
        page.goto(server.url)
        expect(page.locator(".bk-Figure").first).to_be_visible()
        with Sweep(client, nap, runs, None, tmp_path) as sweep:
            for _ in sweep:
                pass
        page.wait_for_function(f"({BARS})() >= 24")
        page.wait_for_timeout(1500)  # the axes glide to their range
        take_picture("06_dashboard", page, same=False)
        problems = watched.unexpected({})
        watched.close()
        client.close()
    assert problems == []


@pytest.fixture(scope="module")
def run(run_chapter):
    return run_chapter(CHAPTER)


def test_hparams_has_a_line_for_each_run(browser, run, take_picture):
    parameters = {"learning_rates": [0] * 4, "batch_sizes": [0] * 2, "seeds": 3} | run.parameters
    count = len(parameters["learning_rates"]) * len(parameters["batch_sizes"]) * parameters["seeds"]
    with TensorBoardServer(run.output_dir / "mnist-sample") as server:
        watched = WatchedPage(browser, viewport={"width": 1120, "height": 860})
        page = watched.page
        page.goto(f"{server.url}#hparams")
        page.locator("[role=tab]", has_text="Parallel Coordinates View").click()
        lines = page.locator("tf-hparams-parallel-coords-plot path")
        expect(lines.nth(count - 1)).to_be_attached()
        page.wait_for_timeout(1000)
        take_picture("06_hparams", page)
        problems = watched.unexpected({})
        watched.close()
    assert problems == []
