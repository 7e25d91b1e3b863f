"""A folder that is held is removed; another that has got its name meanwhile is not."""

from __future__ import annotations

import pytest

from wavenet.checkpoint.held import held


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "a folder\nof 'files'"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / name).write_text(name)
    return folder


def test_a_held_folder_is_removed_with_its_files(folder):
    with held(folder) as held_folder:
        held_folder.remove()
    assert not folder.exists()


def test_a_held_folder_is_moved_with_its_files(folder):
    other = folder.with_name("aside")
    with held(folder) as held_folder:
        held_folder.move_to(other)
    assert not folder.exists()
    assert {path.name: path.read_text() for path in other.iterdir()} == {"a": "a", "b": "b"}


@pytest.mark.parametrize("end", ["remove", "move"])
def test_a_folder_that_got_the_name_meanwhile_stays(folder, end):
    with held(folder) as held_folder:
        old = folder.rename(folder.with_name("old"))
        folder.mkdir()
        (folder / "a").write_text("new")
        if end == "remove":
            held_folder.remove()
        else:
            held_folder.move_to(folder.with_name("aside"))
    assert {path.name: path.read_text() for path in folder.iterdir()} == {"a": "new"}
    assert list(old.iterdir()) == []


def test_a_folder_that_is_not_there_is_held_as_an_empty_one(tmp_path):
    with held(tmp_path / "none") as held_folder:
        held_folder.remove()
        held_folder.move_to(tmp_path / "aside")
    assert list(tmp_path.iterdir()) == []
