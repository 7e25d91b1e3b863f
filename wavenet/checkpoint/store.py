"""Commit, list, verify, retain and recover the checkpoints of a run, through its ledger.

A commit has three moments. The payload is written under a name of its attempt, so that no other process ever touches
it; the ledger entry makes it count; a rename gives it its short name. A crash after the second leaves a committed
payload under its long name: readers find it there, and the next owner finishes the rename.
"""

from __future__ import annotations

import contextlib
import errno
import re
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from wavenet import durable
from wavenet.checkpoint import space, state
from wavenet.checkpoint.held import HeldFolder, held
from wavenet.checkpoint.ledger import PAUSES_SECONDS, Entry, Ledger, read_entries
from wavenet.checkpoint.retention import Retention
from wavenet.checkpoint.space import Need
from wavenet.checkpoint.state import Arrays
from wavenet.errors import DamagedError, FencedError, InputError, StorageError
from wavenet.run_paths import RunPaths

_OWN_NAME = re.compile(r"(step-(?P<step>\d+)|\.room)(\.attempt-\d+)?")


@dataclass(frozen=True)
class Committed:
    """A checkpoint that the ledger says is committed; its files are verified when they are read."""

    step: int
    path: Path
    digest: str
    attempt: int


def list_committed(run: RunPaths) -> list[Committed]:
    """What is committed and not deleted, by ascending step.

    Raises:
        StorageError: the run folder cannot be read.
    """
    return _committed(run, read_entries(run))


def _committed(run: RunPaths, entries: list[Entry]) -> list[Committed]:
    committed: dict[int, Entry] = {}
    for entry in entries:
        if entry.kind == "commit":
            committed[entry.facts["step"]] = entry
        elif entry.kind == "delete":
            committed.pop(entry.facts["step"], None)
    with durable.storage_errors(run.checkpoints, "read"):
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
    try:
        digest, num_bytes = _write_payload(ledger, payload, facts, arrays)
        ledger.append("commit", step=step, payload=payload.name, digest=digest, bytes=num_bytes)
    except FencedError:
        # Only here is it certain that no entry names the payload; after another error the next owner finds out.
        durable.remove_folder(payload)
        raise
    except StorageError as error:
        need = space.need_of([sum(array.nbytes for array in members.values()) for members in arrays.values()])
        free = space.free_at(run.checkpoints, need)
        raise StorageError(f"{error} (a checkpoint of this run needs {need}; {free})") from error
    _give_final_name(ledger, payload, final)
    return Committed(step, final, digest, ledger.attempt)


def _write_payload(ledger: Ledger, payload: Path, facts: dict[str, Any], arrays: dict[str, Arrays]) -> tuple[str, int]:
    try:
        with _fenced_if_gone(ledger, payload):
            return state.write_checkpoint(payload, facts, arrays), state.size_bytes(payload)
    except StorageError:
        durable.remove_folder(payload)
        raise


@contextlib.contextmanager
def _fenced_if_gone(ledger: Ledger, path: Path) -> Iterator[None]:
    """A newer owner tidies away what this attempt is writing: that is no missing file, but the end of the attempt."""
    try:
        yield
    except FileNotFoundError as error:
        ledger.check()
        raise StorageError(f"cannot write {str(path)!r}: somebody removed it while it was written") from error


def require_room(run: RunPaths, ledger: Ledger, need: Need) -> None:
    """Make sure that ``need`` can be written; see `space.require_room`.

    Raises:
        StorageError: there is too little.
        FencedError: a newer attempt owns the run.
    """
    room = run.checkpoint_room(ledger.attempt)
    with _fenced_if_gone(ledger, room):
        space.require_room(room, need)


def _give_final_name(ledger: Ledger, payload: Path, final: Path) -> None:
    # The new name need not be durable: where the power takes it away, the next owner gives it again. And a newer owner
    # that found the committed payload may have given it already.
    with durable.storage_errors(final), contextlib.suppress(FileNotFoundError):
        try:
            payload.rename(final)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            _remove_unlisted(ledger, final)
            payload.rename(final)


def _remove_unlisted(ledger: Ledger, path: Path) -> None:
    with _held(path) as folder:
        # Held first: if a newer attempt claims the run after this look, what it commits is another folder.
        ledger.check()
        folder.remove()


def retain(run: RunPaths, ledger: Ledger, retention: Retention, committed: list[Committed]) -> list[Committed]:
    """Delete those of ``committed`` that ``retention`` does not keep, and return the others.

    Each deletion is an entry first and a removal after, because a checkpoint that is listed must be there, while files
    that nobody lists harm nobody.
    """
    superfluous = set(retention.superfluous(checkpoint.step for checkpoint in committed))
    for checkpoint in committed:
        if checkpoint.step in superfluous:
            with _held(run.checkpoint(checkpoint.step)) as folder:
                ledger.append("delete", step=checkpoint.step, reason="retention")
                folder.remove()
    return [checkpoint for checkpoint in committed if checkpoint.step not in superfluous]


@contextlib.contextmanager
def _held(path: Path) -> Iterator[HeldFolder]:
    with durable.storage_errors(path), held(path) as folder:
        yield folder


@dataclass(frozen=True)
class Recovered:
    """What a new attempt finds: sound checkpoints by ascending step, and one sentence for each damaged one."""

    committed: list[Committed]
    damages: list[str]

    @property
    def newest(self) -> Committed | None:
        return self.committed[-1] if self.committed else None


def recover(run: RunPaths, ledger: Ledger, pauses: Sequence[float] = PAUSES_SECONDS) -> Recovered:
    """Tidy up after dead attempts and find the newest sound checkpoint.

    Finishes renames that a crash interrupted, removes what nobody lists, and verifies the newest checkpoint. A damaged
    one is deleted from the ledger, set aside as ``….damaged-…`` and named, and the next older one is verified. What
    cannot be read is looked at again after each of ``pauses``, in seconds, before it counts as damaged.

    Raises:
        DamagedError: there were committed checkpoints and none is sound.
        FencedError, StorageError: as in `commit`.
    """
    entries = read_entries(run, pauses)
    damages = _mend(run, ledger, entries)
    if damages:
        entries = read_entries(run)
    for checkpoint in _committed(run, entries):
        payload = run.checkpoint_payload(checkpoint.step, checkpoint.attempt)
        _give_final_name(ledger, payload, run.checkpoint(checkpoint.step))
    committed = _committed(run, entries)
    _remove_leftovers(run, ledger, {checkpoint.path for checkpoint in committed})
    has_any = bool(committed)
    while committed:
        damage = _damage(committed[-1], pauses)
        if damage is None:
            return Recovered(committed, damages)
        damages.append(f"{damage}; it was set aside")
        _set_aside(ledger, committed.pop())
    if has_any:
        raise DamagedError(f"no checkpoint of the run {run.name!r} is sound: {'; '.join(damages)}")
    return Recovered([], damages)


def _mend(run: RunPaths, ledger: Ledger, entries: list[Entry]) -> list[str]:
    """Write down again what a damaged entry may have said: a sound checkpoint that no other entry names counts."""
    damaged = [entry.number for entry in entries if entry.kind == "damaged"]
    if not damaged:
        return []
    with durable.storage_errors(run.checkpoints):
        for checkpoint in _committed(run, entries):
            if not checkpoint.path.exists():
                ledger.append("delete", step=checkpoint.step, reason="missing")
        named = {entry.facts["step"] for entry in entries if entry.kind in ("commit", "delete")}
        for path in sorted(run.checkpoints.iterdir()):
            match = _OWN_NAME.fullmatch(path.name)
            if match and match["step"] and int(match["step"]) not in named and _is_sound(path):
                named.add(int(match["step"]))
                _commit_again(run, ledger, int(match["step"]), path)
    return [f"entry {number} of the ledger of the run {run.name!r} is damaged" for number in damaged]


def _is_sound(path: Path) -> bool:
    try:
        state.verify(path)
    except (DamagedError, InputError):
        return False
    return True


def _commit_again(run: RunPaths, ledger: Ledger, step: int, path: Path) -> None:
    payload = run.checkpoint_payload(step, ledger.attempt)
    path.rename(payload)
    durable.sync_folder(run.checkpoints)
    facts = {"digest": state.digest_of(payload), "bytes": state.size_bytes(payload)}
    ledger.append("commit", step=step, payload=payload.name, **facts)


def _remove_leftovers(run: RunPaths, ledger: Ledger, listed: Collection[Path]) -> None:
    ledger.tidy()
    with durable.storage_errors(run.checkpoints):
        strange = [path for path in run.checkpoints.iterdir() if _OWN_NAME.fullmatch(path.name) and path not in listed]
    for path in strange:
        _remove_unlisted(ledger, path)


def _damage(checkpoint: Committed, pauses: Sequence[float]) -> str | None:
    damage = ""
    for pause in chain((0.0,), pauses):
        time.sleep(pause)
        try:
            state.verify(checkpoint.path, checkpoint.digest)
            return None
        except (DamagedError, InputError) as error:
            damage = str(error)
    return damage


def _set_aside(ledger: Ledger, checkpoint: Committed) -> None:
    aside = checkpoint.path.with_name(f"step-{checkpoint.step:08d}.damaged-{ledger.attempt:04d}")
    with _held(checkpoint.path) as folder:
        ledger.append("delete", step=checkpoint.step, reason="damaged")
        folder.move_to(aside)
