"""A checkpoint that is not what was committed is named, set aside, and never used."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wavenet.checkpoint import store
from wavenet.checkpoint.ledger import Ledger, read_entries
from wavenet.run_paths import RunPaths

FILES = ["checkpoint.json", "weights.safetensors", "optimizer.safetensors"]


@pytest.fixture
def fresh(tmp_path_factory):
    """Makes a new run folder at each call: hypothesis asks for many within one test."""
    return lambda: RunPaths(tmp_path_factory.mktemp("runs") / "a 'run'\nwith \"quotes\"")


def recovered_after(run, owner, commit_to, spoil):
    """What the next attempt finds when ``spoil`` has been at the newest of two checkpoints."""
    ledger = Ledger.claim(run, owner)
    commit_to(run, ledger, 10)
    spoil(commit_to(run, ledger, 20).path)
    return store.recover(run, Ledger.claim(run, owner), pauses=())


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(FILES), share=st.floats(0, 1, exclude_max=True))
def test_a_file_cut_at_any_length_is_found_out(fresh, owner, commit_to, name, share):
    def cut(checkpoint):
        os.truncate(checkpoint / name, int(share * (checkpoint / name).stat().st_size))

    found = recovered_after(fresh(), owner, commit_to, cut)
    assert [checkpoint.step for checkpoint in found.committed] == [10]
    assert len(found.damages) == 1
    assert "step-00000020" in found.damages[0]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(FILES), share=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_anywhere_is_found_out(fresh, owner, commit_to, name, share, bit):
    def flip(checkpoint):
        content = bytearray((checkpoint / name).read_bytes())
        content[int(share * len(content))] ^= 1 << bit
        (checkpoint / name).write_bytes(content)

    found = recovered_after(fresh(), owner, commit_to, flip)
    assert [checkpoint.step for checkpoint in found.committed] == [10]
    assert len(found.damages) == 1
    assert "step-00000020" in found.damages[0]


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_damaged_ledger_entry_loses_no_checkpoint_and_is_named(run, owner, commit, number):
    ledger = Ledger.claim(run, owner)
    commits = [commit(ledger, step) for step in (10, 20)]
    run.ledger_entry(number).write_bytes(b"\0" * 100)
    found = store.recover(run, Ledger.claim(run, owner, pauses=()), pauses=())
    assert [(each.step, each.digest) for each in found.committed] == [(each.step, each.digest) for each in commits]
    assert [f"entry {number} of the ledger" in sentence for sentence in found.damages] == [True]
    assert [each.step for each in store.list_committed(run)] == [10, 20]
    again = store.recover(run, Ledger.claim(run, owner, pauses=()), pauses=())
    assert [each.step for each in again.committed] == [10, 20]


def test_what_was_deleted_stays_so_beside_a_damaged_entry(run, owner, commit):
    ledger = Ledger.claim(run, owner)
    for step in (10, 20):
        commit(ledger, step)
    ledger.append("delete", step=10, reason="retention")
    run.ledger_entry(1).write_bytes(b"")
    found = store.recover(run, Ledger.claim(run, owner, pauses=()), pauses=())
    assert [each.step for each in found.committed] == [20]
    assert not run.checkpoint(10).exists()


class Revealing(tuple):
    """Pauses before the first of which a hidden file gets its name: so late does another machine show it."""

    def __iter__(self):
        hidden, late = tuple.__iter__(self)
        if hidden.exists():
            hidden.rename(late)
        yield 0.0


@pytest.mark.parametrize("place", ["ledger", "checkpoint"])
def test_a_file_that_a_network_file_system_shows_late_is_looked_for_again(run, owner, commit, place):
    """Another machine's file may be missing for a moment: that is no reason to give a checkpoint up."""
    ledger = Ledger.claim(run, owner)
    commit(ledger, 10)
    newest = commit(ledger, 20)
    late = newest.path / "weights.safetensors" if place == "checkpoint" else run.ledger_entry(2)
    hidden = late.rename(run.root / "not yet")
    pauses = Revealing((hidden, late))
    found = store.recover(run, Ledger.claim(run, owner, pauses), pauses)
    assert found.damages == []
    assert [each.step for each in found.committed] == [10, 20]
    assert all(entry.kind != "damaged" for entry in read_entries(run))
