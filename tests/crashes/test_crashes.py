"""Whatever happens to the writer of checkpoints, at whichever of its system calls: the run is sound afterwards.

`make soak` runs the same campaigns at full length; README.md in the folder above keeps what it counted.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.crashes.faults import KILLS, Fault
from tests.crashes.mutations import CHANGES, SYNCS

ROOT = Path(__file__).parents[2]


def crash(*arguments):
    """What ``python -m tests.crashes`` counted and found: a process of its own, which has no threads to fork from."""
    command = [sys.executable, "-m", "tests.crashes", "--json", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    if "impossible" in result:
        pytest.skip(result["impossible"])
    return result


def test_a_writer_may_be_killed_at_any_system_call():
    """60 SIGKILLs, before, after and within the calls that change something: nothing committed is lost."""
    result = crash("--kills", "60")
    assert result["found"] == []
    assert result["points"] == 60
    killed = {call for fault in KILLS for call in result["calls"][fault.value]}
    assert killed >= {"mkdir", "openat", "write", "fsync", "link", "unlink", "rename"}


def test_any_system_call_may_fail_or_be_cut_short():
    """ENOSPC, EDQUOT, EIO, half a write, a lost answer: one sentence at most, and nothing committed is lost."""
    result = crash("--errors", "31")
    assert result["found"] == []
    assert set(result["calls"]) == {fault.value for fault in Fault if fault not in KILLS}


def test_the_power_may_fail_at_any_change():
    """What was not made durable may be gone, or there in part: nothing committed is lost."""
    result = crash("--power", "3")
    assert result["found"] == []
    assert result["points"] > 40


def test_an_overtaken_attempt_changes_nothing_when_it_wakes():
    """Asleep at any change while a newer attempt takes over: then every byte stays as the newer one left it."""
    result = crash("--zombies", "4")
    assert result["found"] == []
    assert result["points"] > 20


@pytest.mark.parametrize("sync", SYNCS)
def test_the_power_failures_notice_a_missing_fsync(sync):
    """Each kind of fsync that an attempt issues is needed: without it something is lost."""
    assert crash("--power", "6", "--without", sync)["found"]


@pytest.mark.parametrize(
    ("change", "campaign"),
    [
        ("no fsync of files", ("--power", "9")),
        ("no fsync of folders", ("--power", "9")),
        ("a ledger number may be taken twice", ("--zombies", "12")),
        ("ledger entries written in place", ("--power", "9")),
        ("no tidying of the ledger", ("--kills", "10")),
        ("no tidying of checkpoints", ("--kills", "10")),
        ("damaged checkpoints set aside by name", ("--zombies", "3")),
    ],
)
def test_the_campaigns_notice_what_is_taken_out_of_the_code(change, campaign):
    """The tests above fail without an fsync, without the ledger's check, without tidying."""
    assert crash(*campaign, "--without", change)["found"]


def test_every_change_of_the_code_is_tried():
    """A way to break the code that no test takes proves nothing."""
    marks = test_the_campaigns_notice_what_is_taken_out_of_the_code.pytestmark
    assert {change for change, _ in marks[0].args[1]} == set(CHANGES)
