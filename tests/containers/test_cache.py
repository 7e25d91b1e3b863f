"""What takes minutes to make is made once, and is never there by half."""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from containers import cache


def fill(place: Path) -> None:
    (place / "file").write_text(str(os.getpid()), "utf-8")


def test_a_thing_is_made_once(tmp_path: Path) -> None:
    """The second who wants it gets the first one's."""
    first = cache.kept(tmp_path, "thing", "1", fill)
    second = cache.kept(tmp_path, "thing", "1", lambda place: pytest.fail("made again"))
    assert first == second
    assert [path.name for path in first.iterdir()] == ["file"]


def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    """Not even to be taken for the thing by the next."""

    def fail(place: Path) -> None:
        fill(place)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.kept(tmp_path, "thing", "1", fail)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []


def _kill_me_while_making(folder: Path) -> None:
    def make(place: Path) -> None:
        fill(place)
        os.kill(os.getpid(), signal.SIGKILL)

    cache.kept(folder, "thing", "1", make)


def test_what_is_killed_is_swept_by_the_next(tmp_path: Path) -> None:
    """And the next one's is whole."""
    process = multiprocessing.get_context("fork").Process(target=_kill_me_while_making, args=(tmp_path,))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert not (tmp_path / "thing-1").exists()
    place = cache.kept(tmp_path, "thing", "2", fill)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == [place.name]


def _keep(folder: Path, number: int) -> None:
    cache.kept(folder, "thing", "1", fill)


def test_of_many_who_want_it_at_once_one_makes_it(tmp_path: Path) -> None:
    """The others wait, and find it whole."""
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_keep, args=(tmp_path, number)) for number in range(6)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 6
    assert (tmp_path / "thing-1" / "file").read_text("utf-8") in {str(process.pid) for process in processes}


def test_only_the_newest_is_kept_where_the_kind_says_so(tmp_path: Path) -> None:
    """Images are large, and one is made for every state of the checkout."""
    cache.kept(tmp_path, "image", "1", fill, is_only=True)
    other = cache.kept(tmp_path, "thing", "1", fill)
    newest = cache.kept(tmp_path, "image", "2", fill, is_only=True)
    assert {path for path in tmp_path.iterdir() if path.is_dir()} == {other, newest}


def test_a_digest_tells_texts_apart(tmp_path: Path) -> None:
    """Also where they are the same when put together."""
    assert cache.digest_of("ab", "c") != cache.digest_of("a", "bc")
    assert cache.digest_of("ab", "c") == cache.digest_of(b"ab", b"c")
