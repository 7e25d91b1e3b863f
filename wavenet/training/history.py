"""What happened in a run: one file of JSON lines for each attempt, one writer each, merged on reading.

No torch and no numpy here: `status` reads the history of many runs in well under a second.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from wavenet import durable
from wavenet.run_paths import RunPaths


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
    """One process lifetime. ``cause`` is ``crash`` when its end was never written and a newer attempt exists, and
    ``running`` when its end is not written and it is the newest: the reader may know better whether it lives.
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


@dataclass(frozen=True)
class History:
    """The run's updates that count, its validations, and all its attempts, each in ascending order."""

    steps: list[StepRow]
    validations: list[ValidationRow]
    attempts: list[AttemptRow]


class HistoryWriter:
    """Appends the rows of one attempt; each row reaches the file at once, a torn last row is dropped by readers."""

    def __init__(self, run: RunPaths, attempt: int) -> None:
        durable.make_folder(run.history)
        self._path = run.attempt_history(attempt)
        with durable.storage_errors(self._path):
            self._file = self._path.open("a", encoding="utf-8")

    def append(self, kind: str, **facts: Any) -> None:
        """Write one row with the current time."""
        row = {"kind": kind, "time": datetime.now(timezone.utc).isoformat(timespec="milliseconds"), **facts}
        with durable.storage_errors(self._path):
            self._file.write(json.dumps(row, ensure_ascii=False) + "\n")
            self._file.flush()

    def sync(self) -> None:
        """Make all rows durable; called with every commit, so that history and checkpoints agree after a power cut."""
        with durable.storage_errors(self._path):
            os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


def read_history(run: RunPaths) -> History:
    """Merge the attempts' files: of a step that several attempts computed, the newest attempt's row counts.

    Rows that an attempt wrote after the step from which its successor went on are lost work, even where the successor
    has not come so far yet; they do not count.
    """
    files = [(path, list(_rows(path))) for path in sorted(run.history.glob("attempt-*.jsonl"))]
    numbered = [(int(path.stem.partition("-")[2]), rows) for path, rows in files if rows]
    attempts = [
        _attempt(number, rows, is_newest=place == len(numbered) - 1) for place, (number, rows) in enumerate(numbered)
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


def _attempt(number: int, rows: list[dict[str, Any]], *, is_newest: bool) -> AttemptRow:
    start = next((row for row in rows if row["kind"] == "start"), {})
    end = next((row for row in reversed(rows) if row["kind"] == "end"), None)
    resumed = start.get("resumed_step", 0)
    return AttemptRow(
        attempt=number,
        host=start.get("host", "?"),
        pid=start.get("pid", 0),
        job_id=start.get("job_id"),
        restart_count=start.get("restart_count", 0),
        resumed_step=resumed,
        last_step=max((row["step"] for row in rows if row["kind"] == "step"), default=resumed),
        started=datetime.fromisoformat(rows[0]["time"]),
        ended=datetime.fromisoformat(end["time"] if end else rows[-1]["time"]) if end or not is_newest else None,
        cause=end["cause"] if end else ("running" if is_newest else "crash"),
        detail=end.get("detail", "") if end else "",
        num_steps=start.get("num_steps", 0),
        accepted=start.get("accepted", []),
        versions=start.get("versions", {}),
    )
