"""Commit, list, verify, retain and recover the checkpoints of a run, through its ledger.

A commit has three moments. The payload is written under a name of its attempt, so that no other process ever touches
it; the ledger entry makes it count; a rename gives it its short name. A crash after the second leaves a committed
payload under its long name: readers find it there, and the next owner finishes the rename.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wavenet import durable
from wavenet.checkpoint import state
from wavenet.checkpoint.ledger import Entry, Ledger, read_entries
from wavenet.checkpoint.retention import Retention
from wavenet.checkpoint.state import Arrays
from wavenet.errors import DamagedError, FencedError, InputError
from wavenet.run_paths import RunPaths

_PAYLOAD = re.compile(r"step-(\d+)\.attempt-(\d+)")


@dataclass(frozen=True)
class Committed:
    """A checkpoint that the ledger says is committed; its files are verified when they are read."""

    step: int
    path: Path
    digest: str
    attempt: int


def list_committed(run: RunPaths) -> list[Committed]:
    """What is committed and not deleted, by ascending step."""
    committed: dict[int, Entry] = {}
    for entry in read_entries(run):
        if entry.kind == "commit":
            committed[entry.facts["step"]] = entry
        elif entry.kind == "delete":
            committed.pop(entry.facts["step"], None)
    return [_located(run, committed[step]) for step in sorted(committed)]


def _located(run: RunPaths, entry: Entry) -> Committed:
    step = entry.facts["step"]
    final, payload = run.checkpoint(step), run.checkpoint_payload(step, entry.attempt)
    return Committed(
        step, final if final.exists() or not payload.exists() else payload, entry.facts["digest"], entry.attempt
    )


def commit(run: RunPaths, ledger: Ledger, facts: dict[str, Any], arrays: dict[str, Arrays]) -> Committed:
    """Make a checkpoint of step ``facts["step"]`` durable and visible.

    Raises:
        FencedError: a newer attempt owns the run; nothing that it reads has changed.
        StorageError: no space, quota or permission; the checkpoints committed before are as they were.
    """
    step = facts["step"]
    payload, final = run.checkpoint_payload(step, ledger.attempt), run.checkpoint(step)
    ledger.check()
    digest = state.write_checkpoint(payload, facts, arrays)
    try:
        ledger.append("commit", step=step, payload=payload.name, digest=digest, bytes=state.size_bytes(payload))
    except FencedError:
        # Only here is it certain that no entry names the payload; after another error the next owner finds out.
        durable.remove_folder(payload)
        raise
    _give_final_name(payload, final)
    return Committed(step, final, digest, ledger.attempt)


def _give_final_name(payload: Path, final: Path) -> None:
    # A newer owner that found the committed payload may have renamed it already.
    with durable.storage_errors(final), contextlib.suppress(FileNotFoundError):
        payload.rename(final)
        durable.sync_folder(final.parent)


def retain(run: RunPaths, ledger: Ledger, retention: Retention, committed: list[Committed]) -> list[Committed]:
    """Delete those of ``committed`` that ``retention`` does not keep, and return the others.

    Each deletion is an entry first and a removal after, because a checkpoint that is listed must be there, while files
    that nobody lists harm nobody.
    """
    superfluous = set(retention.superfluous(checkpoint.step for checkpoint in committed))
    for checkpoint in committed:
        if checkpoint.step in superfluous:
            ledger.append("delete", step=checkpoint.step, reason="retention")
            durable.remove_folder(run.checkpoint(checkpoint.step))
    return [checkpoint for checkpoint in committed if checkpoint.step not in superfluous]


@dataclass(frozen=True)
class Recovered:
    """What a new attempt finds: sound checkpoints by ascending step, and one sentence for each damaged one."""

    committed: list[Committed]
    damages: list[str]

    @property
    def newest(self) -> Committed | None:
        return self.committed[-1] if self.committed else None


def recover(run: RunPaths, ledger: Ledger) -> Recovered:
    """Tidy up after dead attempts and find the newest sound checkpoint.

    Finishes renames that a crash interrupted, removes payloads that were never committed, and verifies the newest
    checkpoint. A damaged one is deleted from the ledger, set aside as ``….damaged-…`` and named, and the next older
    one is verified.

    Raises:
        DamagedError: there were committed checkpoints and none is sound.
        FencedError, StorageError: as in `commit`.
    """
    for checkpoint in list_committed(run):
        _give_final_name(run.checkpoint_payload(checkpoint.step, checkpoint.attempt), run.checkpoint(checkpoint.step))
    _remove_leftovers(run, ledger)
    committed = list_committed(run)
    damages: list[str] = []
    while committed:
        damage = _damage(committed[-1])
        if damage is None:
            return Recovered(committed, damages)
        damages.append(damage)
        _set_aside(ledger, committed.pop())
    if damages:
        raise DamagedError(f"no checkpoint of the run {run.name!r} is sound: {'; '.join(damages)}")
    return Recovered([], [])


def _remove_leftovers(run: RunPaths, ledger: Ledger) -> None:
    if not run.checkpoints.is_dir():
        return
    for path in run.checkpoints.iterdir():
        match = _PAYLOAD.fullmatch(path.name)
        if match and int(match[2]) < ledger.attempt:
            durable.remove_folder(path)


def _damage(checkpoint: Committed) -> str | None:
    try:
        state.verify(checkpoint.path, checkpoint.digest)
    except (DamagedError, InputError) as error:
        return str(error)
    return None


def _set_aside(ledger: Ledger, checkpoint: Committed) -> None:
    ledger.append("delete", step=checkpoint.step, reason="damaged")
    aside = checkpoint.path.with_name(f"step-{checkpoint.step:08d}.damaged-{ledger.attempt:04d}")
    with durable.storage_errors(aside), contextlib.suppress(FileNotFoundError):
        checkpoint.path.rename(aside)
        durable.sync_folder(aside.parent)
