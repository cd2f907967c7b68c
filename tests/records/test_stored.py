"""What the stored pages are compared with is a run as in a new clone."""

import pytest

from tests.run_notebooks import as_if_new


def test_runs_of_an_earlier_reading_are_away_meanwhile_and_back_afterwards(tmp_path):
    kept = tmp_path / "sweep"
    (kept / "one").mkdir(parents=True)
    (kept / "one" / "result.json").write_text("old")
    with pytest.raises(KeyboardInterrupt), as_if_new(kept):
        assert not kept.exists()
        (kept / "two").mkdir(parents=True)
        raise KeyboardInterrupt
    assert (kept / "one" / "result.json").read_text() == "old"
    assert [path.name for path in tmp_path.rglob("*")] == ["sweep", "one", "result.json"]


def test_in_a_new_clone_nothing_is_left(tmp_path):
    kept = tmp_path / "sweep"
    with as_if_new(kept):
        (kept / "two").mkdir(parents=True)
    assert not any(tmp_path.iterdir())
