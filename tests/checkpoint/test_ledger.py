"""Of two writers of a run exactly one goes on."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier

import pytest

from wavenet.checkpoint.ledger import Ledger, Owner, current_claim, read_entries
from wavenet.errors import BusyError, FencedError


def test_entries_are_numbered_from_one_without_gaps(run, owner):
    ledger = Ledger.claim(run, owner)
    for step in range(5):
        ledger.append("commit", step=step)
    assert [entry.number for entry in read_entries(run)] == [1, 2, 3, 4, 5, 6]
    assert [entry.facts.get("step") for entry in read_entries(run)] == [None, 0, 1, 2, 3, 4]


def test_a_run_nobody_claimed_has_no_owner(run):
    assert current_claim(run) is None


def test_the_newest_claim_tells_attempt_and_owner(run):
    Ledger.claim(run, Owner("n1", 7, 70, "12", 0))
    Ledger.claim(run, Owner("n2", 8, 80, "12", 1))
    claim = current_claim(run)
    assert claim is not None
    assert (claim.attempt, claim.owner) == (2, Owner("n2", 8, 80, "12", 1))


def test_an_overtaken_attempt_is_fenced_at_its_next_entry_and_changes_nothing(run, owner):
    zombie = Ledger.claim(run, owner)
    zombie.append("commit", step=1)
    Ledger.claim(run, owner)
    before = {path.name: path.read_bytes() for path in run.ledger.iterdir()}
    with pytest.raises(FencedError, match="overtaken"):
        zombie.append("commit", step=2)
    with pytest.raises(FencedError, match="overtaken"):
        zombie.check()
    assert {path.name: path.read_bytes() for path in run.ledger.iterdir()} == before


def test_of_many_simultaneous_claims_each_number_goes_to_one(run, owner):
    Ledger.claim(run, owner)

    def try_claim(_):
        try:
            return Ledger.claim(run, owner).attempt
        except BusyError:
            return None

    with ThreadPoolExecutor(8) as pool:
        won = [attempt for attempt in pool.map(try_claim, range(40)) if attempt is not None]
    assert len(won) == len(set(won))
    assert sorted(won) == list(range(2, 2 + len(won)))


def test_a_damaged_entry_keeps_its_number_and_an_attempt_that_it_may_have_named(run, owner):
    Ledger.claim(run, owner)
    Ledger.claim(run, owner)
    run.ledger_entry(2).write_text("{")
    newer = Ledger.claim(run, owner, pauses=(0,))
    assert newer.attempt == 3
    assert [entry.kind for entry in read_entries(run)] == ["claim", "damaged", "claim"]


def test_every_entry_says_when_it_was_made(run, owner):
    Ledger.claim(run, owner)
    assert json.loads(run.ledger_entry(1).read_text())["time"].endswith("+00:00")


def test_a_claim_comes_after_the_former_owners_last_entry_and_not_instead_of_it(run, owner):
    """At the same moment either may be first; the claim never takes the other's entry for a second start."""
    for _ in range(30):
        former = Ledger.claim(run, owner)
        barrier = Barrier(2)

        def write(former=former, barrier=barrier):
            barrier.wait()
            with suppress(FencedError):
                former.append("commit", step=1)

        with ThreadPoolExecutor(1) as pool:
            writing = pool.submit(write)
            barrier.wait()
            Ledger.claim(run, owner)
            writing.result()
        with pytest.raises(FencedError):
            former.append("commit", step=2)
    kinds = {entry.kind for entry in read_entries(run)}
    assert "damaged" not in kinds


def test_no_temporary_file_of_a_dead_attempt_outlives_tidying(run, owner):
    Ledger.claim(run, owner)
    (run.ledger / ".00000002.abcdef012345.tmp.json").write_text("{")
    Ledger.claim(run, owner).tidy()
    assert sorted(path.name for path in run.ledger.iterdir()) == ["00000001.json", "00000002.json"]
