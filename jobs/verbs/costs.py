"""What an interruption cost a run, read from its history, and whether it changed a byte."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from wavenet.checkpoint.store import list_committed
from wavenet.run_paths import RunPaths
from wavenet.training.history import AttemptRow, read_history


@dataclass(frozen=True)
class Blow:
    """Something that happened to a run, when, and to which attempt; None: to a start that had not claimed the run."""

    name: str
    time: datetime
    attempt: int | None


@dataclass(frozen=True)
class Cost:
    """Of one blow. ``hit`` is the attempt that it ended; ``lost`` counts finished steps that were made again;
    ``seconds`` is the time until the next step, None where there was none before the next blow.
    """

    name: str
    hit: AttemptRow | None
    lost: int
    seconds: float | None


def costs_of(run: RunPaths, blows: Sequence[Blow]) -> list[Cost]:
    """One cost for each blow, in their order; to be asked when the run has gone on after the last."""
    attempts = read_history(run).attempts
    first_steps = [(attempt.started, _first_step(run, attempt)) for attempt in attempts]
    nexts: list[datetime | None] = [*(blow.time for blow in blows[1:]), None]
    return [
        Cost(blow.name, *_hit_and_lost(blow, attempts), _seconds(blow, before, first_steps))
        for blow, before in zip(blows, nexts, strict=True)
    ]


def _hit_and_lost(blow: Blow, attempts: Sequence[AttemptRow]) -> tuple[AttemptRow | None, int]:
    for hit, successor in pairwise(attempts):
        if hit.attempt == blow.attempt:
            return hit, max(0, hit.last_step - successor.resumed_step)
    return None, 0


def _seconds(
    blow: Blow, before: datetime | None, first_steps: Sequence[tuple[datetime, datetime | None]]
) -> float | None:
    for started, step in first_steps:
        if step is not None and started > blow.time and (before is None or step < before):
            return (step - blow.time).total_seconds()
    return None


def _first_step(run: RunPaths, attempt: AttemptRow) -> datetime | None:
    with run.attempt_history(attempt.attempt).open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            with contextlib.suppress(ValueError):  # torn by a crash
                row = json.loads(line)
                if row.get("kind") == "step":
                    return datetime.fromisoformat(row["time"])
    return None


def differences(run: RunPaths, other: RunPaths) -> tuple[list[int], list[int]]:
    """The steps of which both have a checkpoint, and those of them whose files differ in a byte.

    The files are weights, averages and the optimiser's moments; what describes them also says where and when.
    """
    ours, theirs = ({one.step: one.path for one in list_committed(each)} for each in (run, other))
    common = sorted(ours.keys() & theirs.keys())
    return common, [step for step in common if _files(ours[step]) != _files(theirs[step])]


def _files(checkpoint: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in checkpoint.glob("*.safetensors")}
