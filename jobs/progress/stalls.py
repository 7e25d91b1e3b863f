"""What is running and shows no progress: on a hung file system, on a dead node, stopped, or waiting for ever."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from pathlib import Path

from jobs.attempts import Attempt
from jobs.progress.stage_progress import StageProgress
from jobs.queue.scheduler import QueuedJob
from wavenet.run_paths import RunPaths

DEFAULT_SECONDS = 300.0
_STEPS = 10  # a step that takes this many times the usual is no step any more
_WITH_PROGRESS = ("plan", "prepare", "train", "generate")
"""Stages whose logs grow while they work; the others are silent."""


def of_training(
    run: RunPaths, last: Attempt | None, jobs: Sequence[QueuedJob], now: datetime, stall_seconds: float
) -> list[dict[str, str]]:
    """The training of ``run``, if neither its history nor its ledger has moved for ten steps and ``stall_seconds``.

    A job that has just started has not had the time to move anything.
    """
    if last is None:
        return []
    starts = [job.start_time for job in jobs if job.job_id == last.job_id]
    signs = [*starts, *map(_modified, (run.attempt_history(last.attempt), run.ledger, run.checkpoints))]
    since = max((sign for sign in signs if sign), default=now)
    patience = max(stall_seconds, _STEPS * (last.median_seconds or 0.0))
    return _told("training", since, last.host, now, patience)


def of_stage(stage: StageProgress, now: datetime, stall_seconds: float) -> Iterable[dict[str, str]]:
    """Those tasks of a stage whose logs have not grown for ``stall_seconds``."""
    if stage.stage not in _WITH_PROGRESS:
        return
    for task in stage.running:
        yield from _told(f"{stage.stage} (job {task.job_id})", task.last_sign, task.node, now, stall_seconds)


def _told(what: str, since: datetime, host: str, now: datetime, patience: float) -> list[dict[str, str]]:
    if (now - since).total_seconds() <= patience:
        return []
    return [{"what": what, "since": since.astimezone(timezone.utc).isoformat(timespec="seconds"), "host": host}]


def _modified(path: Path) -> datetime | None:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, timezone.utc)
    except OSError:
        return None
