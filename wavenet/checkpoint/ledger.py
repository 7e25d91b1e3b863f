"""The run's numbered ledger: who owns the run, what is committed, what was deleted.

Each entry is a complete file linked to the next number (``ledger/00000007.json``). Linking fails when the name is
taken, so of two writers exactly one gets a number, and whoever finds its next number taken has been overtaken: it is
*fenced* and stops, having changed nothing that the new owner reads. A process that a cut network left running while
the scheduler started the run elsewhere (a zombie) meets this wall at its first commit.

Kinds of entries: ``claim`` (attempt, owner), ``commit`` (step, payload, digest, bytes), ``delete`` (step, reason).
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from itertools import chain
from typing import Any

from wavenet import durable
from wavenet.errors import BusyError, FencedError
from wavenet.run_paths import RunPaths

_NAME = re.compile(r"(\d{8,})\.json")


@dataclass(frozen=True)
class Owner:
    """Who makes an attempt; ``job_id`` is None outside a scheduler, ``pid_started`` is the kernel's start tick."""

    host: str
    pid: int
    pid_started: int
    job_id: str | None = None
    restart_count: int = 0


@dataclass(frozen=True)
class Entry:
    """One entry. An unreadable file keeps its number as kind ``damaged``: the numbers after it still count."""

    number: int
    kind: str
    attempt: int
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Claim:
    """The latest claim: which attempt owns the run and who makes it."""

    number: int
    attempt: int
    owner: Owner
    time: str


PAUSES_SECONDS = (0.1, 0.5, 1.4)
"""How long to wait before looking again for a file that must be there.

A network file system may go on answering from what it knew: that a file is missing, or was shorter.
"""


def read_entries(run: RunPaths, pauses: Sequence[float] = ()) -> list[Entry]:
    """All entries in the order of their numbers; an empty list where nothing was ever claimed.

    With ``pauses``, in seconds, an entry that cannot be read is looked for again after each of them.
    """
    return list(entries_backwards(run, pauses))[::-1]


def entries_backwards(run: RunPaths, pauses: Sequence[float] = ()) -> Iterator[Entry]:
    """The newest entry first; each is read when it is asked for."""
    # Numbers have no gaps: one that a slow folder listing leaves out is there all the same.
    for number in range(_newest_number(run), 0, -1):
        yield _read_entry(run, number, pauses)


def _newest_number(run: RunPaths) -> int:
    with durable.storage_errors(run.ledger, "read"):
        try:
            names = [path.name for path in run.ledger.iterdir()]
        except (FileNotFoundError, NotADirectoryError):
            return 0
    return max((int(match[1]) for match in map(_NAME.fullmatch, names) if match), default=0)


def _read_entry(run: RunPaths, number: int, pauses: Sequence[float] = ()) -> Entry:
    for pause in chain((0.0,), pauses):
        time.sleep(pause)
        try:
            content = json.loads(run.ledger_entry(number).read_text(encoding="utf-8"))
            return Entry(number, content.pop("kind"), content.pop("attempt"), content)
        except (OSError, ValueError, KeyError, AttributeError):
            continue
    return Entry(number, "damaged", 0)


def current_claim(run: RunPaths) -> Claim | None:
    """The newest readable claim, or None for a run that nobody ever owned."""
    return next((claim_of(entry) for entry in entries_backwards(run) if entry.kind == "claim"), None)


def claim_of(entry: Entry) -> Claim:
    """What an entry of kind ``claim`` says."""
    return Claim(entry.number, entry.attempt, Owner(**entry.facts["owner"]), entry.facts["time"])


class Ledger:
    """The right of one attempt to write the run; obtained by `claim`, lost when somebody else claims."""

    def __init__(self, run: RunPaths, attempt: int, number: int) -> None:
        self.run = run
        self.attempt = attempt
        self._number = number

    @classmethod
    def claim(cls, run: RunPaths, owner: Owner, pauses: Sequence[float] = PAUSES_SECONDS) -> Ledger:
        """Take the run over as its next attempt.

        Whether the former owner may be overtaken (it is dead, or an older start of the same job) is for the caller to
        know. An attempt's number is higher than that of any entry before it.

        Raises:
            BusyError: another process claimed the run at the same moment.
            StorageError: the run folder cannot be written.
        """
        _make_folders(run)
        for pause in chain((0.0,), pauses):
            time.sleep(pause)
            entries = read_entries(run, pauses)
            ledger = cls(run, _next_attempt(entries), len(entries))
            if ledger._link("claim", {"owner": asdict(owner)}):
                return ledger
            if _read_entry(run, len(entries) + 1).kind == "claim":
                break
            # The number went to the last words of the former owner: they count, and the claim comes after them.
        raise BusyError(f"another process has just claimed the run {run.name!r}; `wavenet status` shows its owner")

    def append(self, kind: str, **facts: Any) -> None:
        """Write the next entry.

        Raises:
            FencedError: the number is taken, so a newer attempt owns the run.
            StorageError: the run folder cannot be written; nothing was appended.
        """
        if not self._link(kind, facts):
            raise FencedError(
                f"attempt {self.attempt} of the run {self.run.name!r} has been overtaken: entry {self._number + 1} of "
                "its ledger belongs to a newer attempt; this process stops and the newer one goes on"
            )

    def check(self) -> None:
        """Raise `FencedError` if a newer attempt has claimed the run, without writing anything."""
        with durable.storage_errors(self.run.ledger, "read"):
            is_overtaken = self.run.ledger_entry(self._number + 1).exists()
        if is_overtaken:
            raise FencedError(
                f"attempt {self.attempt} of the run {self.run.name!r} has been overtaken by a newer attempt; this "
                "process stops and the newer one goes on"
            )

    def tidy(self) -> None:
        """Remove the temporary files of attempts that died; whoever is alive writes its own again."""
        with durable.storage_errors(self.run.ledger):
            for path in self.run.ledger.glob(".*.tmp.json"):
                path.unlink(missing_ok=True)

    def _link(self, kind: str, facts: dict[str, Any]) -> bool:
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        content = {"kind": kind, "attempt": self.attempt, "time": now, **facts}
        path = self.run.ledger_entry(self._number + 1)
        if not durable.create_exclusively(path, durable.to_json(content).encode()):
            return False
        self._number += 1
        return True


def _next_attempt(entries: list[Entry]) -> int:
    # A damaged entry may have been the claim of an attempt whose number must not come again.
    num_damaged = sum(entry.kind == "damaged" for entry in entries)
    return 1 + num_damaged + max((entry.attempt for entry in entries), default=0)


def _make_folders(run: RunPaths) -> None:
    """Make what commits are written into, and make the names durable that a killed attempt may have left undurable."""
    for folder in (run.ledger, run.checkpoints):
        durable.make_folder(folder)
    for folder in (run.root, run.root.parent):
        # A folder that may be entered but not read cannot be opened for this.
        with durable.storage_errors(folder), contextlib.suppress(PermissionError):
            durable.sync_folder(folder)
