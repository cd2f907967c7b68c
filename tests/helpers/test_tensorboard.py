"""TensorBoard, over a folder of event files."""

import pytest
import requests

from helpers.tensorboard import TensorBoardServer
from tests.helpers.conftest import wait_until

# ---- TensorBoard ----


def test_tensorboard_serves_the_folder(logdir):
    with TensorBoardServer(logdir) as server:
        address = f"{server.url}data/plugin/scalars/tags"
        wait_until(lambda: "loss" in requests.get(address).text, "no tag")


def test_tensorboard_needs_a_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="train first"):
        TensorBoardServer(tmp_path / "nothing")
