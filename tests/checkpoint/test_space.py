"""Too little room is told before training; at a commit it leaves what was there; the sentence says what is needed."""

from __future__ import annotations

import errno
import os
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavenet.checkpoint import space, state, store
from wavenet.checkpoint.ledger import Ledger
from wavenet.checkpoint.retention import Retention
from wavenet.checkpoint.space import Need
from wavenet.errors import StorageError
from wavenet.run_paths import RunPaths


def leave(disk, num_bytes):
    """Fill ``disk`` but for about ``num_bytes``."""
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    (disk / "filler").write_bytes(bytes(free - num_bytes))


def test_a_disk_that_fills_at_a_commit_keeps_what_was_there(small_disk, owner, commit_to):
    run = RunPaths(small_disk / "run")
    ledger = Ledger.claim(run, owner)
    commit_to(run, ledger, 10)
    leave(small_disk, 4096)
    needed = r"the disk is full.*needs [\d,]+ bytes in 5 files and folders; the file system has [\d,]+ bytes.*too few"
    with pytest.raises(StorageError, match=needed):
        commit_to(run, ledger, 20)
    assert [path.name for path in run.checkpoints.iterdir()] == ["step-00000010"]
    (small_disk / "filler").unlink()
    state.verify(commit_to(run, ledger, 20).path)
    assert [checkpoint.step for checkpoint in store.list_committed(run)] == [10, 20]


def use_up(folder):
    """Write until the quota refuses, and bring what was written."""

    def write_on():
        with (folder / "filler").open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))

    with pytest.raises(OSError, match="quota") as refused:
        write_on()
    assert refused.value.errno == errno.EDQUOT
    return folder / "filler"


def test_a_quota_that_is_used_up_at_a_commit_keeps_what_was_there(disk_of_quota, owner, commit_to):
    """The file system has room for hundreds; the sentence names the quota, and where some is left the run goes on."""
    run = RunPaths(disk_of_quota / "run")
    ledger = Ledger.claim(run, owner)
    commit_to(run, ledger, 10)
    filler = use_up(disk_of_quota)
    with pytest.raises(StorageError, match=r"the disk quota is used up.*needs [\d,]+ bytes .*a quota may leave less"):
        commit_to(run, ledger, 20)
    assert [path.name for path in run.checkpoints.iterdir()] == ["step-00000010"]
    filler.unlink()
    state.verify(commit_to(run, ledger, 20).path)
    assert [checkpoint.step for checkpoint in store.list_committed(run)] == [10, 20]


def test_a_quota_is_met_before_training(disk_of_quota):
    """What the file system calls free is taken for a moment, and refused then; what the quota leaves is not."""
    with pytest.raises(StorageError, match=r"the disk quota is used up.*a quota may leave less"):
        space.require_room(disk_of_quota / "room", Need(2 << 20, 5))
    space.require_room(disk_of_quota / "room", Need(300_000, 5))
    assert list(disk_of_quota.iterdir()) == []


def test_a_disk_that_runs_out_of_files_keeps_what_was_there(disk_of_few_files, owner, commit_to):
    run = RunPaths(disk_of_few_files / "run")
    fillers = [disk_of_few_files / name for name in "abc"]
    for path in fillers:
        path.touch()
    ledger = Ledger.claim(run, owner)
    committed = []

    def fill():
        while True:
            committed.append(commit_to(run, ledger, len(committed) + 1))

    with pytest.raises(StorageError, match=r"needs [\d,]+ bytes in 5 files and folders; .* files free, too few files"):
        fill()
    assert len(committed) > 1
    assert store.list_committed(run) == committed
    for path in fillers:
        path.unlink()
    assert store.recover(run, Ledger.claim(run, owner)).committed == committed
    assert len(list(run.checkpoints.iterdir())) == len(committed)


@pytest.mark.parametrize(
    ("code", "shortage"),
    [(errno.ENOSPC, "disk is full"), (errno.EDQUOT, "quota is used up"), (errno.EIO, "input/output error")],
)
def test_a_refused_commit_names_the_shortage_and_the_need(run, owner, commit, monkeypatch, code, shortage):
    ledger = Ledger.claim(run, owner)
    commit(ledger, 10)

    def refuse(path):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("wavenet.durable.sync_file", refuse)
    with pytest.raises(StorageError, match=rf"{shortage}.*needs [\d,]+ bytes .*the file system has [\d,]+ bytes"):
        commit(ledger, 20)
    monkeypatch.undo()
    assert [checkpoint.step for checkpoint in store.list_committed(run)] == [10]
    assert [path.name for path in run.checkpoints.iterdir()] == ["step-00000010"]


def test_room_that_is_there_is_left_as_it_was(small_disk):
    space.require_room(small_disk / "room", Need(500_000, 30))
    assert list(small_disk.iterdir()) == []


@pytest.mark.parametrize(("disk", "need"), [("small_disk", Need(2 << 20, 5)), ("disk_of_few_files", Need(1000, 30))])
def test_room_that_is_missing_is_one_sentence_with_what_is_needed_and_free(request, disk, need):
    folder = request.getfixturevalue(disk)
    with pytest.raises(StorageError, match=f"{re.escape(str(need))}; the file system has .* free, too few") as caught:
        space.require_room(folder / "room", need)
    assert str(folder) in str(caught.value)
    assert list(folder.iterdir()) == []


def test_more_files_than_are_made_are_counted(disk_of_few_files):
    with pytest.raises(StorageError, match="too few files"):
        space.require_room(disk_of_few_files / "room", Need(1000, 1_000_000))


def test_a_checkpoint_takes_no_more_than_is_foretold(run, owner, commit):
    """What `need_of` tells is an upper bound, and not a loose one where arrays are large."""
    committed = commit(Ledger.claim(run, owner), 1)
    need = space.need_of([400, 7 * 8])
    assert state.size_bytes(committed.path) <= need.num_bytes
    assert len([committed.path, *committed.path.iterdir()]) + 1 == need.num_files


@given(st.sets(st.integers(1, 100), min_size=1), st.integers(0, 5), st.integers(0, 20), st.sets(st.integers(1, 100)))
def test_never_more_checkpoints_are_there_than_foretold(steps, newest, every, chosen):
    retention = Retention(newest, every, chosen)
    present = set()
    for step in sorted(steps):
        present.add(step)
        assert len(present) <= retention.most_at_once(steps)
        present -= set(retention.superfluous(present))
