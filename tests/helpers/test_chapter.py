"""The checks and folders with which every chapter starts."""

import pytest

from helpers.chapter import check_parameters, new_run_dir


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("epochs", 0, "epochs must be a whole number of at least 1, got 0"),
        ("log_every", -5, "log_every must be a whole number of at least 1, got -5"),
        ("seed", -1, "seed must be a whole number of at least 0, got -1"),
        ("learning_rate", 0.0, "learning_rate must be a positive number, got 0.0"),
        ("learning_rate", float("nan"), "learning_rate must be a positive number, got nan"),
        ("learning_rate", float("inf"), "learning_rate must be a positive number, got inf"),
        ("epochs", True, "epochs must be a whole number of at least 1, got True"),
        ("seed", False, "seed must be a whole number of at least 0, got False"),
        ("epochs", 1.5, "epochs must be a whole number"),
        ("batch_size", "128", "batch_size must be a whole number"),
    ],
)
def test_a_bad_parameter_is_named(name, value, message):
    with pytest.raises(ValueError, match=message):
        check_parameters(**{"epochs": 5, name: value})


def test_good_parameters_pass():
    check_parameters(dataset="mnist", epochs=1, batch_size=1, learning_rate=1e-9, seed=0)


def test_each_run_has_a_new_folder(tmp_path):
    out = tmp_path / "a" / "b"
    assert [new_run_dir(out).name for _ in range(3)] == ["run-1", "run-2", "run-3"]
    (out / "run-1").rmdir()
    assert new_run_dir(out) == out / "run-1"


def test_a_file_in_the_way_is_an_error(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(OSError, match="out"):
        new_run_dir(tmp_path / "out")
