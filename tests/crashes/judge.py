"""Open a run as the next attempt does, and say what is not as it was promised."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from tests.crashes.writer import AGAIN_AT_ONCE, OWNER, RETENTION, STEPS_BETWEEN, arrays_of
from wavenet.checkpoint import state, store
from wavenet.checkpoint.ledger import Ledger, read_entries
from wavenet.checkpoint.store import Committed
from wavenet.errors import WavenetError
from wavenet.run_paths import RunPaths


def violations(run: RunPaths, promised: Collection[int], damaged: Collection[int] = ()) -> list[str]:
    """Everything that is wrong with ``run``; it is claimed, tidied and goes on for one more commit.

    Args:
        promised: steps whose commit had returned.
        damaged: steps that somebody spoilt: they may be set aside.
    """
    try:
        ledger = Ledger.claim(run, OWNER, AGAIN_AT_ONCE)
        recovered = store.recover(run, ledger, AGAIN_AT_ONCE)
        found = [f"is said to be damaged: {sentence}" for sentence in recovered.damages if not damaged]
        found += _lost(run, recovered.committed, set(promised) - set(damaged))
        for checkpoint in recovered.committed:
            found += _differences(checkpoint)
        found += _torn(run) + _leftovers(run, recovered.committed)
        return found + _cannot_go_on(run, ledger, recovered.committed)
    except (WavenetError, OSError) as error:
        return [f"unreadable: {type(error).__name__}: {error}"]


def _lost(run: RunPaths, listed: list[Committed], promised: set[int]) -> list[str]:
    """Promised steps that are neither there nor let go by the rules."""
    present = {checkpoint.step for checkpoint in listed}
    deleted = {entry.facts["step"] for entry in read_entries(run) if entry.kind == "delete"}
    missing = {step for step in promised - present if step not in deleted}
    too_early = promised - present - set(RETENTION.superfluous(promised | present))
    return [f"step {step} was committed and is not there" for step in sorted(missing | too_early)]


def _differences(checkpoint: Committed) -> list[str]:
    """Whether what is listed is what was written, bit for bit."""
    found = []
    try:
        state.verify(checkpoint.path, checkpoint.digest)
        for group, members in arrays_of(checkpoint.step).items():
            read = state.read_arrays(checkpoint.path, group)
            if any(not np.array_equal(read[name], value) for name, value in members.items()):
                found.append(f"step {checkpoint.step} has other {group}")
    except WavenetError as error:
        found.append(f"step {checkpoint.step} is listed and cannot be read: {error}")
    return found


def _torn(run: RunPaths) -> list[str]:
    return [f"entry {entry.number} of the ledger is torn" for entry in read_entries(run) if entry.kind == "damaged"]


def _leftovers(run: RunPaths, listed: list[Committed]) -> list[str]:
    """Names that nobody reads any more and nobody removes. What was set aside as damaged is for people to look at."""
    checkpoints = {path.name for path in run.checkpoints.iterdir()} if run.checkpoints.is_dir() else set()
    entries = {run.ledger_entry(entry.number).name for entry in read_entries(run)}
    strange = {name for name in checkpoints - {each.path.name for each in listed} if ".damaged-" not in name}
    strange |= {path.name for path in run.ledger.iterdir()} - entries
    return [f"leftover: {name}" for name in sorted(strange)]


def _cannot_go_on(run: RunPaths, ledger: Ledger, listed: list[Committed]) -> list[str]:
    step = STEPS_BETWEEN + (listed[-1].step if listed else 0)
    new = store.commit(run, ledger, {"step": step, "position": step}, arrays_of(step))
    store.retain(run, ledger, RETENTION, [*listed, new])
    again = store.list_committed(run)
    if not again or again[-1] != new:
        return [f"step {step} was committed afterwards and is not the newest"]
    return _differences(new)
