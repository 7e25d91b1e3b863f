"""The run's numbered ledger: who owns the run, what is committed, what was deleted.

Each entry is a complete file linked to the next number (``ledger/00000007.json``). Linking fails when the name is
taken, so of two writers exactly one gets a number, and whoever finds its next number taken has been overtaken: it is
*fenced* and stops, having changed nothing that the new owner reads. A process that a cut network left running while
the scheduler started the run elsewhere (a zombie) meets this wall at its first commit.

Kinds of entries: ``claim`` (attempt, owner), ``commit`` (step, payload, digest, bytes), ``delete`` (step, reason).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from typing import Any

from wavenet import durable
from wavenet.errors import BusyError, FencedError
from wavenet.run_paths import RunPaths


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


def read_entries(run: RunPaths) -> list[Entry]:
    """All entries in the order of their numbers; an empty list where nothing was ever claimed."""
    return list(entries_backwards(run))[::-1]


def entries_backwards(run: RunPaths) -> Iterator[Entry]:
    """The newest entry first; each is read when it is asked for."""
    if run.ledger.is_dir():
        numbers = (int(path.stem) for path in run.ledger.glob("[0-9]*.json") if path.stem.isdigit())
        for number in sorted(numbers, reverse=True):
            yield _read_entry(run, number)


def _read_entry(run: RunPaths, number: int) -> Entry:
    try:
        content = json.loads(run.ledger_entry(number).read_text(encoding="utf-8"))
        return Entry(number, content.pop("kind"), content.pop("attempt"), content)
    except (OSError, ValueError, KeyError, AttributeError):
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
    def claim(cls, run: RunPaths, owner: Owner) -> Ledger:
        """Take the run over as its next attempt.

        Whether the former owner may be overtaken (it is dead, or an older start of the same job) is for the caller to
        know. An attempt's number is one more than that of any entry before it.

        Raises:
            BusyError: another process claimed the run at the same moment.
            StorageError: the run folder cannot be written.
        """
        durable.make_folder(run.ledger)
        entries = read_entries(run)
        attempt = 1 + max((entry.attempt for entry in entries), default=0)
        ledger = cls(run, attempt, entries[-1].number if entries else 0)
        if not ledger._link("claim", {"owner": asdict(owner)}):
            raise BusyError(f"another process has just claimed the run {run.name!r}; `wavenet status` shows its owner")
        return ledger

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
        if self.run.ledger_entry(self._number + 1).exists():
            raise FencedError(
                f"attempt {self.attempt} of the run {self.run.name!r} has been overtaken by a newer attempt; this "
                "process stops and the newer one goes on"
            )

    def _link(self, kind: str, facts: dict[str, Any]) -> bool:
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        content = {"kind": kind, "attempt": self.attempt, "time": now, **facts}
        path = self.run.ledger_entry(self._number + 1)
        if not durable.create_exclusively(path, durable.to_json(content).encode()):
            return False
        self._number += 1
        return True
