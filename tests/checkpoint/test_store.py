"""What is committed stays readable; what was not is never seen."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavenet.checkpoint import state, store
from wavenet.checkpoint.ledger import Ledger
from wavenet.checkpoint.retention import Retention
from wavenet.errors import DamagedError, FencedError, InputError


def steps_of(run):
    return [checkpoint.step for checkpoint in store.list_committed(run)]


def test_what_is_committed_is_read_back_bit_for_bit(run, owner, commit):
    committed = commit(Ledger.claim(run, owner), 20)
    assert committed.path == run.checkpoint(20)
    assert state.read_facts(committed.path)["step"] == 20
    assert state.digest_of(committed.path) == committed.digest
    weights = state.read_arrays(committed.path, "weights")["w"]
    assert weights.dtype == np.float32
    assert np.array_equal(weights, np.full(100, 20, np.float32))


def test_transposed_arrays_are_saved_in_their_own_order(tmp_path):
    array = np.arange(6.0).reshape(2, 3).T
    state.write_checkpoint(tmp_path / "c", {"step": 1}, {"weights": {"w": array}})
    assert np.array_equal(state.read_arrays(tmp_path / "c", "weights")["w"], array)


def test_equal_states_have_equal_digests(tmp_path):
    for name in "ab":
        state.write_checkpoint(tmp_path / name, {"step": 1}, {"weights": {"w": np.ones(3), "v": np.zeros(2)}})
    assert state.digest_of(tmp_path / "a") == state.digest_of(tmp_path / "b")


def test_a_fenced_attempt_leaves_no_trace_among_the_checkpoints(run, owner, commit):
    zombie = Ledger.claim(run, owner)
    commit(zombie, 1)
    Ledger.claim(run, owner)
    with pytest.raises(FencedError):
        commit(zombie, 2)
    assert steps_of(run) == [1]
    assert [path.name for path in run.checkpoints.iterdir()] == ["step-00000001"]


def test_a_commit_whose_rename_was_lost_is_read_and_finished_by_the_next_owner(run, owner, commit):
    committed = commit(Ledger.claim(run, owner), 5)
    committed.path.rename(run.checkpoint_payload(5, 1))
    assert store.list_committed(run)[0].path == run.checkpoint_payload(5, 1)
    recovered = store.recover(run, Ledger.claim(run, owner))
    assert recovered.newest is not None
    assert recovered.newest.path == run.checkpoint(5)
    assert run.checkpoint(5).is_dir()


def test_a_payload_without_an_entry_is_not_committed_and_is_removed(run, owner, commit):
    commit(Ledger.claim(run, owner), 5)
    state.write_checkpoint(run.checkpoint_payload(9, 1), {"step": 9}, {"weights": {"w": np.ones(1)}})
    assert steps_of(run) == [5]
    store.recover(run, Ledger.claim(run, owner))
    assert [path.name for path in run.checkpoints.iterdir()] == ["step-00000005"]


@pytest.mark.parametrize("damage", ["cut", "flip", "unlink", "facts", "folder"])
def test_a_damaged_newest_checkpoint_is_named_set_aside_and_the_older_one_taken(run, owner, commit, damage):
    ledger = Ledger.claim(run, owner)
    commit(ledger, 10)
    newest = commit(ledger, 20)
    spoil(newest.path, damage)
    recovered = store.recover(run, Ledger.claim(run, owner))
    assert recovered.newest is not None
    assert recovered.newest.step == 10
    assert len(recovered.damages) == 1
    assert "step-00000020" in recovered.damages[0]
    assert steps_of(run) == [10]


def spoil(checkpoint, damage):
    file = checkpoint / "weights.safetensors"
    if damage == "cut":
        os.truncate(file, file.stat().st_size - 1)
    elif damage == "flip":
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        file.write_bytes(content)
    elif damage == "unlink":
        file.unlink()
    elif damage == "facts":
        (checkpoint / "checkpoint.json").write_text("{")
    else:
        shutil.rmtree(checkpoint)


def test_the_step_of_a_damaged_checkpoint_can_be_committed_again(run, owner, commit):
    ledger = Ledger.claim(run, owner)
    commit(ledger, 10)
    spoil(commit(ledger, 20).path, "flip")
    newer = Ledger.claim(run, owner)
    store.recover(run, newer)
    commit(newer, 20)
    state.verify(run.checkpoint(20))
    assert steps_of(run) == [10, 20]


def test_a_run_of_damaged_checkpoints_alone_says_so(run, owner, commit):
    spoil(commit(Ledger.claim(run, owner), 10).path, "cut")
    with pytest.raises(DamagedError, match="no checkpoint of the run"):
        store.recover(run, Ledger.claim(run, owner))


def test_reading_a_flipped_array_raises_instead_of_returning_it(run, owner, commit):
    committed = commit(Ledger.claim(run, owner), 10)
    spoil(committed.path, "flip")
    with pytest.raises(DamagedError, match="differs from what was committed"):
        state.read_arrays(committed.path, "weights")


def test_a_folder_that_is_no_checkpoint_is_named(tmp_path):
    with pytest.raises(InputError, match="is not a checkpoint"):
        state.read_facts(tmp_path)


def test_retention_deletes_files_only_after_its_entry(run, owner, commit):
    ledger = Ledger.claim(run, owner)
    committed = [commit(ledger, step) for step in (1, 2, 3, 4)]
    Ledger.claim(run, owner)
    with pytest.raises(FencedError):
        store.retain(run, ledger, Retention(newest=1), committed)
    assert all(checkpoint.path.is_dir() for checkpoint in committed)


def test_retention_keeps_what_its_rules_name(run, owner, commit):
    ledger = Ledger.claim(run, owner)
    committed = [commit(ledger, step) for step in range(1, 11)]
    kept = store.retain(run, ledger, Retention(newest=2, every=4, chosen={1}), committed)
    assert [checkpoint.step for checkpoint in kept] == [1, 4, 8, 9, 10]
    assert steps_of(run) == [1, 4, 8, 9, 10]
    assert sorted(path.name for path in run.checkpoints.iterdir()) == [f"step-{n:08d}" for n in (1, 4, 8, 9, 10)]


@given(st.sets(st.integers(1, 200)), st.integers(0, 5), st.integers(0, 20), st.sets(st.integers(1, 200)))
def test_retention_never_lets_the_newest_go(steps, newest, every, chosen):
    superfluous = Retention(newest, every, chosen).superfluous(steps)
    assert not set(superfluous) & chosen
    if steps:
        assert max(steps) not in superfluous
    if newest == 0:
        assert superfluous == []
