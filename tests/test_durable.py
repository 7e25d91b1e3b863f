"""Files are replaced whole or not at all, and a refusing disk is one sentence."""

from __future__ import annotations

import json
import multiprocessing
import os
import stat
import subprocess
import sys
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavenet import durable
from wavenet.errors import StorageError

SPAWN = multiprocessing.get_context("spawn")  # fork would copy the threads' locks of whatever the test process runs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder whose name holds what shells and formats trip over."""
    odd = tmp_path / "a space, 'quotes\" and\na newline"
    odd.mkdir()
    return odd


def test_replaced_content_reads_back(folder: Path) -> None:
    """What is written is what is read, over whatever was there."""
    path = folder / "facts.json"
    for value in ({"b": [1, 2.5, None], "a": "é"}, {"a": 2}):
        durable.write_json(path, value)
        assert json.loads(path.read_text()) == value
    assert [item.name for item in folder.iterdir()] == ["facts.json"]


def test_a_failure_leaves_the_old_content_and_no_litter(folder: Path) -> None:
    """An error inside the block leaves the file as it was and removes the temporary one."""
    path = folder / "weights.bin"
    durable.write_bytes(path, b"old")

    def fail() -> None:
        with durable.replacing(path) as temporary:
            temporary.write_bytes(b"new, but only half")
            raise RuntimeError("power")

    with pytest.raises(RuntimeError, match="power"):
        fail()
    assert path.read_bytes() == b"old"
    assert list(folder.iterdir()) == [path]


def test_a_kill_leaves_the_old_content(folder: Path) -> None:
    """A process that dies without a word while it writes leaves the old content under the name."""
    path = folder / "weights.bin"
    durable.write_bytes(path, b"old")
    program = (
        "import os, sys\nfrom pathlib import Path\nfrom wavenet import durable\n"
        "with durable.replacing(Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_bytes(b'new')\n    os.kill(os.getpid(), 9)\n"
    )
    killed = subprocess.run([sys.executable, "-c", program, str(path)], check=False, cwd=Path(__file__).parent.parent)
    assert killed.returncode == -9
    assert path.read_bytes() == b"old"


def test_temporary_names_are_hidden_unique_and_keep_the_suffix(folder: Path) -> None:
    """Encoders choose a format by suffix, readers list folders: a temporary name has a suffix and is hidden."""
    path = folder / f"{'x' * 200}.mp3"
    names = {durable.temporary_name(path) for _ in range(50)}
    assert len(names) == 50
    assert all(name.suffix == ".mp3" and name.name.startswith(".") and name.parent == folder for name in names)
    assert all(len(os.fsencode(name.name)) < 200 for name in names)


def test_files_honour_umask(folder: Path) -> None:
    """A group can share a run: a new file has the permissions that the umask leaves, not a temporary file's 0600."""
    before = os.umask(0o027)
    try:
        durable.write_text(folder / "a", "a")
        durable.create_exclusively(folder / "b", b"b")
    finally:
        os.umask(before)
    assert {stat.S_IMODE((folder / name).stat().st_mode) for name in "ab"} == {0o640}


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(st.characters(codec="utf-8")),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    )
)
def test_json_is_exact_and_stable(value: object) -> None:
    """JSON keeps every value to the last bit, and writing what was read gives the same bytes."""
    text = durable.to_json(value)
    assert json.loads(text) == value
    assert durable.to_json(json.loads(text)) == text


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_json_refuses_what_is_not_json(value: float) -> None:
    """NaN is no JSON: readers in other languages would stop at it."""
    with pytest.raises(ValueError, match="JSON"):
        durable.to_json(value)


def _create(path: Path, name: str, barrier: Barrier, winners: Queue[str]) -> None:
    barrier.wait()
    if durable.create_exclusively(path, name.encode() * 1000):
        winners.put(name)


def test_exactly_one_of_many_processes_creates_a_name(folder: Path) -> None:
    """Of processes that create one name at the same moment exactly one wins, and its content is whole."""
    path, barrier, winners = folder / "00000001.json", SPAWN.Barrier(4), SPAWN.Queue()
    processes = [SPAWN.Process(target=_create, args=(path, name, barrier, winners)) for name in "abcd"]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    winner = winners.get(timeout=10)
    assert winners.empty()
    assert path.read_bytes() == winner.encode() * 1000
    assert list(folder.iterdir()) == [path]


def test_creating_a_taken_name_changes_nothing(folder: Path) -> None:
    """The loser is told so, and what the winner wrote stays."""
    path = folder / "entry"
    assert durable.create_exclusively(path, b"first")
    assert not durable.create_exclusively(path, b"second")
    assert path.read_bytes() == b"first"


def test_an_error_about_another_file_is_not_blamed_on_the_target(folder: Path) -> None:
    """Reading a missing or forbidden source inside the block is the source's error, not 'cannot write'."""
    forbidden = PermissionError(13, "Permission denied", str(folder.parent / "music" / "song.mp3"))

    def read() -> None:
        with durable.replacing(folder / "a"):
            raise forbidden

    with pytest.raises(PermissionError):
        read()


def test_a_file_in_the_way_of_a_folder_is_one_sentence(folder: Path) -> None:
    """A path through a file names the path and the rule."""
    (folder / "runs").write_text("a file")
    for path in (folder / "runs", folder / "runs" / "rock"):
        with pytest.raises(StorageError, match="runs"):
            durable.make_folder(path)


def test_a_folder_is_made_with_its_parents_and_again(folder: Path) -> None:
    """Making a folder that is there already is no error."""
    for _ in range(2):
        assert durable.make_folder(folder / "a" / "b").is_dir()


def test_a_full_disk_names_the_path_and_leaves_the_old_content(small_disk: Path) -> None:
    """Where no space is left the error says so and which file it was; the old content stays."""
    path = small_disk / "weights.bin"
    durable.write_bytes(path, b"old")
    with pytest.raises(StorageError, match=r"weights\.bin.*disk is full"):
        durable.write_bytes(path, bytes(4 << 20))
    assert path.read_bytes() == b"old"
    assert list(small_disk.iterdir()) == [path]


def test_a_read_only_disk_names_the_path(read_only_disk: Path) -> None:
    """A read-only file system is named as such."""
    with pytest.raises(StorageError, match=r"facts\.json.*read-only"):
        durable.write_text(read_only_disk / "facts.json", "{}")
    with pytest.raises(StorageError, match="read-only"):
        durable.make_folder(read_only_disk / "runs")
