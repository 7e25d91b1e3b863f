"""What happened in a run: one file of JSON lines for each attempt, one writer each, merged on reading.

No torch and no numpy here: `status` reads the history of many runs in well under a second.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from wavenet import durable
from wavenet.run_paths import RunPaths
from wavenet.training.ends import End, ends_of, told
from wavenet.training.rows import Rows, fence, first, newest_up_to, parse, starts_after
from wavenet.training.spent import Spent, Stalls, began, kept_steps, spent_of, stalls_of


@dataclass(frozen=True)
class StepRow:
    """One optimiser update: mean loss in nats, wall seconds, learning rate, and the attempt whose update counts."""

    step: int
    loss: float
    seconds: float
    learning_rate: float
    attempt: int


@dataclass(frozen=True)
class ValidationRow:
    """Mean loss in nats on held-out windows after ``step`` updates, in all and per class id."""

    step: int
    loss: float
    per_class: dict[int, float]
    attempt: int


@dataclass(frozen=True)
class AttemptRow:
    """One process lifetime. ``cause`` is ``running`` when it is the newest and its end is not written: the reader may
    know better whether it lives. ``told`` is why it was asked to stop, as far as it knew at that moment. ``began`` is
    when its job or process did, ``started`` when it had the run; ``lost_steps`` were made and have to be made again.
    """

    attempt: int
    host: str
    pid: int
    job_id: str | None
    restart_count: int
    resumed_step: int
    last_step: int
    started: datetime
    ended: datetime | None
    cause: str
    detail: str
    num_steps: int
    accepted: list[str] = field(default_factory=list)
    excluded: list[str] = field(default_factory=list)
    """Hosts that the run stayed away from, for their faults."""
    versions: dict[str, str] = field(default_factory=dict)
    told: str | None = None
    began: datetime | None = None
    lost_steps: int = 0
    damages: list[str] = field(default_factory=list)
    spent: Spent = Spent()


@dataclass(frozen=True)
class History:
    """The run's updates that count, its validations, and all its attempts, each in ascending order.

    ``stalls`` is None before the first commit.
    """

    steps: list[StepRow]
    validations: list[ValidationRow]
    attempts: list[AttemptRow]
    stalls: Stalls | None = None


class HistoryWriter:
    """Appends the rows of one attempt; each row reaches the file at once, a torn last row is dropped by readers.

    Several threads may write; what comes after `close` is dropped, for the end has been written.
    """

    def __init__(self, run: RunPaths, attempt: int) -> None:
        durable.make_folder(run.history)
        self._path = run.attempt_history(attempt)
        with durable.storage_errors(self._path):
            self._file = self._path.open("a", encoding="utf-8")
        self._lock = threading.Lock()

    def append(self, kind: str, **facts: Any) -> None:
        """Write one row with the current time."""
        row = {"kind": kind, "time": datetime.now(timezone.utc).isoformat(timespec="milliseconds"), **facts}
        with self._lock, durable.storage_errors(self._path):
            if self._file.closed:
                return
            self._file.write(json.dumps(row, ensure_ascii=False) + "\n")
            self._file.flush()

    def sync(self) -> None:
        """Make all rows durable; called with every commit, so that history and checkpoints agree after a power cut."""
        with durable.storage_errors(self._path):
            os.fsync(self._file.fileno())

    def close(self) -> None:
        with self._lock:
            self._file.close()


def read_history(run: RunPaths) -> History:
    """Merge the attempts' files: of a step that several attempts computed, the newest attempt's row counts.

    Rows that an attempt wrote after the step from which its successor went on are lost work, even where the successor
    has not come so far yet; they do not count. What it wrote after it had been overtaken is not read at all.
    """
    numbered = _numbered(run)
    ends = ends_of(numbered)
    kept = kept_steps([_resumed(rows) for _, rows in numbered])
    following = starts_after([rows for _, rows in numbered])
    attempts = [
        _attempt(number, rows, ends[number], step, start)
        for (number, rows), step, start in zip(numbered, kept, following, strict=True)
    ]
    steps: dict[int, StepRow] = {}
    validations: dict[int, ValidationRow] = {}
    for summary, (number, rows) in zip(attempts, numbered, strict=True):
        steps = {step: row for step, row in steps.items() if step <= summary.resumed_step}
        validations = {step: row for step, row in validations.items() if step <= summary.resumed_step}
        for row in rows:
            if row["kind"] == "step":
                steps[row["step"]] = _step(row, number)
            elif row["kind"] == "validation":
                validations[row["step"]] = _validation(row, number)
    return History(
        [steps[step] for step in sorted(steps)],
        [validations[step] for step in sorted(validations)],
        attempts,
        _stalls(numbered),
    )


@dataclass(frozen=True)
class Past:
    """What the attempts before one leave to it: each commit's stall in seconds, and the newest step validated."""

    stalls: list[float]
    validated_step: int


def read_past(run: RunPaths, resumed_step: int) -> Past:
    """Of a run that goes on from ``resumed_step``."""
    rows = [row for _, rows in _numbered(run, but_not="step") for row in rows]
    validated = (row["step"] for row in rows if row["kind"] == "validation" and row["step"] <= resumed_step)
    stalls = [row["stall_seconds"] for row in rows if row["kind"] == "commit" and "stall_seconds" in row]
    return Past(stalls, max(validated, default=0))


def overtaken_by(run: RunPaths, attempt: int) -> dict[str, int] | None:
    """What attempt ``attempt`` writes down about the one before it, once it has claimed the run; see `rows.fence`."""
    before = [path for path in _files(run) if _number(path) < attempt]
    return {"attempt": _number(before[-1]), "bytes": before[-1].stat().st_size} if before else None


def _files(run: RunPaths) -> list[Path]:
    return sorted(run.history.glob("attempt-*.jsonl"), key=_number)


def _number(path: Path) -> int:
    return int(path.stem.partition("-")[2])


def _numbered(run: RunPaths, but_not: str = "") -> list[tuple[int, Rows]]:
    """Each attempt's rows that count, without those of the kind ``but_not``."""
    numbered: list[tuple[int, Rows]] = []
    counted: dict[int, int] = {}
    for path in reversed(_files(run)):
        number = _number(path)
        rows = list(parse(_lines(path, counted.get(number), but_not)))
        if rows:
            numbered.append((number, rows))
            counted.update([fenced] if (fenced := fence(first(rows, "start"))) else [])
    return numbered[::-1]


def _lines(path: Path, num_bytes: int | None, but_not: str) -> Iterator[bytes]:
    """The first ``num_bytes`` of a file, or all of it, line by line."""
    skipped = f'{{"kind": "{but_not}"'.encode()
    read = 0
    with path.open("rb") as file:
        for line in file:
            read += len(line)
            if num_bytes is not None and read > num_bytes:
                return
            if not line.startswith(skipped):
                yield line


def _step(row: dict[str, Any], attempt: int) -> StepRow:
    return StepRow(row["step"], row["loss"], row["seconds"], row["learning_rate"], attempt)


def _validation(row: dict[str, Any], attempt: int) -> ValidationRow:
    per_class = {int(class_id): loss for class_id, loss in row["per_class"].items()}
    return ValidationRow(row["step"], row["loss"], per_class, attempt)


def _resumed(rows: Rows) -> int:
    return int(first(rows, "start").get("resumed_step", 0))


def _stalls(numbered: list[tuple[int, Rows]]) -> Stalls | None:
    told = (row for _, rows in reversed(numbered) for row in reversed(rows) if row.get("stalls"))
    return stalls_of(next(told, {}))


def _attempt(
    number: int, rows: Rows, end: End | None, kept: int | None, following: dict[str, Any] | None
) -> AttemptRow:
    start = first(rows, "start")
    resumed = _resumed(rows)
    made = [row for row in rows if row["kind"] == "step"]
    last_step = max((row["step"] for row in made), default=resumed)
    counted = last_step if kept is None else min(last_step, max(kept, resumed))
    return AttemptRow(
        attempt=number,
        host=start.get("host", "?"),
        pid=start.get("pid", 0),
        job_id=start.get("job_id"),
        restart_count=start.get("restart_count", 0),
        resumed_step=resumed,
        last_step=last_step,
        started=datetime.fromisoformat(rows[0]["time"]),
        ended=None if end is None else datetime.fromisoformat(end.time or rows[-1]["time"]),
        cause="running" if end is None else end.cause,
        detail="" if end is None else end.detail,
        num_steps=start.get("num_steps", 0),
        accepted=start.get("accepted", []),
        excluded=start.get("excluded", []),
        versions=start.get("versions", {}),
        told=told(rows),
        began=began(rows),
        lost_steps=last_step - counted,
        damages=start.get("damages", []),
        spent=spent_of(rows, newest_up_to(rows, counted, "spent"), following),
    )
