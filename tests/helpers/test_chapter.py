"""The checks and folders with which every chapter starts."""

import re
import stat

import nbformat
import numpy as np
import papermill
import pytest
import torch
import yaml

from helpers.chapter import PARAMETERS, check_parameters, new_run_dir
from helpers.data import DATASETS
from tests.conftest import CHAPTERS, ROOT

WHOLE = "a whole number of at least"
BAD = [
    ("epochs", 0, f"{WHOLE} 1, got 0"),
    ("epochs", 1.5, f"{WHOLE} 1, got 1.5"),
    ("epochs", True, f"{WHOLE} 1, got True"),
    ("epochs", None, f"{WHOLE} 1, got None"),
    ("batch_size", "128", f"{WHOLE} 1, got '128', which is text: write 128"),
    ("log_every", -5, f"{WHOLE} 1, got -5"),
    ("seed", -1, f"{WHOLE} 0 and at most 9223372036854775807, got -1"),
    ("seed", 2**64, f"{WHOLE} 0 and at most 9223372036854775807, got 18446744073709551616"),
    ("seed", 1.0, f"{WHOLE} 0"),
    ("learning_rate", 0, "a number above 0, got 0"),
    ("learning_rate", 0.0, "a number above 0, got 0.0"),
    ("learning_rate", -1, "a number above 0, got -1"),
    ("learning_rate", float("nan"), "a number above 0, got nan"),
    ("learning_rate", float("inf"), "a number above 0, got inf"),
    ("learning_rate", None, "a number above 0, got None"),
    ("learning_rate", True, "a number above 0, got True"),
    ("learning_rate", [1e-3], "a number above 0, got [0.001]"),
    ("learning_rate", "fast", "a number above 0, got 'fast'"),
    ("learning_rate", "3e-4", "got '3e-4', which is text (as YAML takes an exponent without"),
    ("dataset", "minst", "one of 'mnist-sample', 'mnist', 'fashion-mnist', got 'minst'"),
    ("dataset", None, "one of 'mnist-sample', 'mnist', 'fashion-mnist', got None"),
]


@pytest.mark.parametrize(("name", "value", "message"), BAD)
def test_a_bad_parameter_is_named_with_what_it_may_be(name, value, message):
    with pytest.raises(ValueError, match=f"^{name} must be .*{re.escape(message)}"):
        check_parameters(**{"epochs": 5, name: value})


def test_good_parameters_pass():
    check_parameters(dataset="mnist", epochs=1, batch_size=1, learning_rate=1e-9, seed=0)
    check_parameters(learning_rate=1, seed=2**63 - 1, epochs=np.int64(3))
    check_parameters(learning_rate=np.float32(0.1))
    for dataset in DATASETS:
        check_parameters(dataset=dataset)


@pytest.mark.parametrize("text", ["3e-4", "1e-9", "1E3", "5", "0.25"])
def test_what_is_to_be_written_in_place_of_text_is_a_number_in_yaml(text):
    with pytest.raises(ValueError, match="write ") as info:
        check_parameters(learning_rate=text)
    remedy = yaml.safe_load(str(info.value).rpartition("write ")[2])
    assert remedy == float(text)
    check_parameters(learning_rate=remedy)


def test_every_seed_that_passes_seeds_torch():
    highest = PARAMETERS["seed"].most
    for seed in (0, highest, highest + 2):  # chapter 2 goes two beyond
        torch.manual_seed(seed)
    torch.Generator().manual_seed(highest + 2)


def test_a_parameter_that_is_not_declared_is_a_mistake_of_the_chapters():
    with pytest.raises(TypeError, match="nothing says what epoch may be: add a line"):
        check_parameters(epoch=1)


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_every_chapter_checks_its_parameters_before_it_makes_a_folder(path):
    cells = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
    (cell,) = [c for c in cells if "parameters" in c.metadata.get("tags", [])]
    names = set(re.findall(r"^(\w+) =", cell.source, re.M)) - {"output_dir"}
    code = "\n".join(c.source for c in cells)
    calls = re.findall(r"check_parameters\((.*?)\)", code, re.S)
    checked = {name for call in calls for name in re.findall(r"(\w+)=", call)}
    # Each of several is checked by the name of one; what a scheduler may be, connect says.
    several = {"learning_rates": "learning_rate", "batch_sizes": "batch_size"}
    assert {several.get(name, name) for name in names} - {"scheduler"} == checked
    assert code.index("check_parameters(") < code.index("new_run_dir(")


REFUSED = {
    "a text": ("02_tensorboardx_training", {"learning_rate": "1e-3"}, "learning_rate must be"),
    "a dataset": ("03_hiddenlayer_live_canvas", {"dataset": "minst"}, "dataset must be one of"),
    "a long interval": ("04_visdom_gallery", {"log_every": 10**6}, "log_every = 1000000 draws"),
}


@pytest.mark.parametrize("stem, parameters, message", REFUSED.values(), ids=REFUSED)
def test_a_refused_run_leaves_nothing_behind(tmp_path, stem, parameters, message):
    with pytest.raises(papermill.PapermillExecutionError, match=message) as info:
        papermill.execute_notebook(
            ROOT / "notebooks" / f"{stem}.ipynb",
            tmp_path / "done.ipynb",
            parameters=parameters | {"output_dir": str(tmp_path / "out")},
            kernel_name="python3",
            cwd=tmp_path,
            progress_bar=False,
        )
    assert info.value.ename == "ValueError"
    assert not (tmp_path / "out").exists()


def test_each_run_has_a_new_folder(tmp_path):
    out = tmp_path / "a" / "b"
    assert [new_run_dir(out).name for _ in range(3)] == ["run-1", "run-2", "run-3"]
    (out / "run-1").rmdir()
    assert new_run_dir(out) == out / "run-1"


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    for below in ("", "deeper", "deeper/still"):
        with pytest.raises(
            OSError, match=r"output_dir = .*file is a file\. Choose a folder"
        ) as info:
            new_run_dir(tmp_path / "file" / below)
        assert str(tmp_path / "file") in str(info.value)
        assert info.value.__suppress_context__


def test_a_folder_that_cannot_be_written_is_named():
    """Nobody, root included, makes a folder here."""
    with pytest.raises(OSError, match=r"output_dir = '/(proc|dev)/.*Choose a folder that you can"):
        new_run_dir("/proc/course" if (ROOT / "/proc/self").exists() else "/dev/course")


@pytest.mark.parametrize("path", ["", "  ", None, 3])
def test_an_output_dir_that_is_no_path_is_named(path):
    with pytest.raises(ValueError, match="output_dir must be the path of a folder, got"):
        new_run_dir(path)


def test_others_cannot_look_into_a_run(tmp_path):
    assert stat.S_IMODE(new_run_dir(tmp_path).stat().st_mode) == 0o700
