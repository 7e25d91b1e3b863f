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
from wavenet.training.ends import End, Rows, ends_of, first, told


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
    know better whether it lives. ``told`` is why it was asked to stop, as far as it knew at that moment.
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
    versions: dict[str, str] = field(default_factory=dict)
    told: str | None = None


@dataclass(frozen=True)
class History:
    """The run's updates that count, its validations, and all its attempts, each in ascending order."""

    steps: list[StepRow]
    validations: list[ValidationRow]
    attempts: list[AttemptRow]


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
    has not come so far yet; they do not count.
    """
    files = [(path, list(_rows(path))) for path in sorted(run.history.glob("attempt-*.jsonl"))]
    numbered = [(int(path.stem.partition("-")[2]), rows) for path, rows in files if rows]
    ends = ends_of(numbered)
    attempts = [_attempt(number, rows, ends[number]) for number, rows in numbered]
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
        [steps[step] for step in sorted(steps)], [validations[step] for step in sorted(validations)], attempts
    )


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            try:
                row = json.loads(line)
            except ValueError:
                continue  # torn by a crash in the middle of a write; the step is computed again
            if isinstance(row, dict) and "kind" in row:
                yield row


def _step(row: dict[str, Any], attempt: int) -> StepRow:
    return StepRow(row["step"], row["loss"], row["seconds"], row["learning_rate"], attempt)


def _validation(row: dict[str, Any], attempt: int) -> ValidationRow:
    per_class = {int(class_id): loss for class_id, loss in row["per_class"].items()}
    return ValidationRow(row["step"], row["loss"], per_class, attempt)


def _attempt(number: int, rows: Rows, end: End | None) -> AttemptRow:
    start = first(rows, "start")
    resumed = start.get("resumed_step", 0)
    made = [row for row in rows if row["kind"] == "step"]
    if end is not None and end.last_step is not None:
        made = [row for row in made if row["step"] <= end.last_step]
    return AttemptRow(
        attempt=number,
        host=start.get("host", "?"),
        pid=start.get("pid", 0),
        job_id=start.get("job_id"),
        restart_count=start.get("restart_count", 0),
        resumed_step=resumed,
        last_step=max((row["step"] for row in made), default=resumed),
        started=datetime.fromisoformat(rows[0]["time"]),
        ended=None if end is None else datetime.fromisoformat(end.time or (made or rows)[-1]["time"]),
        cause="running" if end is None else end.cause,
        detail="" if end is None else end.detail,
        num_steps=start.get("num_steps", 0),
        accepted=start.get("accepted", []),
        versions=start.get("versions", {}),
        told=told(rows),
    )
