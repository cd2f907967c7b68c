"""A file is the old one or the whole new one; a folder is whole or not there."""

import sys

import pytest

from helpers.files import cannot_write, fetched_once, replacing


def test_the_new_file_is_there_when_the_block_ends(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with replacing(path) as beside:
        beside.write_text("new")
        assert path.read_text() == "old"
        assert beside.name == path.name
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_after_an_error_the_old_file_is_as_it_was(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), replacing(path) as beside:
        beside.write_text("half of the n")
        1 / 0  # noqa: B018
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_a_file_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(NotADirectoryError, match=r"file/a\.txt can't be written.*choose another"),
        replacing(tmp_path / "file" / "a.txt"),
    ):
        pass


def test_the_error_keeps_its_kind_and_says_why():
    error = cannot_write("a/b", PermissionError(13, "Permission denied"))
    assert isinstance(error, PermissionError)
    assert "a/b can't be written (Permission denied)" in str(error)


def test_a_folder_is_fetched_once_and_nothing_else_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "prefix", str(tmp_path))

    def fetch(files, scratch):
        (scratch / "archive").write_text("packed")
        files.mkdir()
        (files / "a.txt").write_text("unpacked")

    folder = fetched_once("things-1", fetch)
    assert tmp_path in folder.parents
    assert [path.name for path in folder.iterdir()] == ["a.txt"]
    assert list(folder.parent.iterdir()) == [folder]
    assert fetched_once("things-1", None) == folder  # asks nobody


def test_a_folder_that_was_half_fetched_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "prefix", str(tmp_path))

    def fail(files, scratch):
        files.mkdir()
        raise OSError("no network")

    with pytest.raises(OSError, match="no network"):
        fetched_once("things-1", fail)
    assert [path for path in tmp_path.rglob("*") if "things" in path.name] == []
    (place,) = (tmp_path / "share").iterdir()
    assert list(place.iterdir()) == []
