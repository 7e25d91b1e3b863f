"""How far the stages of a run are that were submitted to Slurm: from markers, logs and the queue, not from accounting.

A task is *done* when its marker is there, *running* or *waiting* as the queue says, and *failed* when it is neither
done nor in the queue; *unknown* where the queue gives no answer.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from jobs import progress_lines
from jobs.queue import submitted
from jobs.queue.batch import RESTART_LOG
from jobs.queue.scheduler import QueuedJob
from jobs.queue.succession import Line, read_lines
from jobs.tail import last_lines
from wavenet import durable

STAGES = ("plan", "prepare", "index", "train", "generate", "report")
"""Of a chain, in their order; each is the beginning of its jobs' folders and the middle of their names."""

_FOLDER = re.compile(rf"({'|'.join(STAGES)})-\d{{8}}T\d{{6}}Z(?:-\d+)?")
_WAITING = ("PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "RESV_DEL_HOLD")
_NAMED_FAILURES = 5
_FEWEST_ENDS = 3  # of tasks, before they say when the rest will be done
_CLIPS = "clips.json"
_SILENT = "it was cancelled, or lost with its node: it is gone from the queue and has said nothing"


@dataclass(frozen=True)
class RunningTask:
    """A task that Slurm says is running, with the last sign of life that its log shows."""

    job_id: str
    node: str
    share: float | None
    """How much of its work is done, where its log says so."""
    last_sign: datetime


@dataclass(frozen=True)
class StageProgress:
    """The newest submission of one stage. Counts are of tasks; a stage that is no array has one."""

    stage: str
    folder: Path
    num_tasks: int
    num_done: int
    num_waiting: int
    num_failed: int
    num_unknown: int
    running: list[RunningTask]
    failures: list[dict[str, str]] = field(default_factory=list)
    """Job id and reason of the first few that failed."""
    clips: dict[str, int] | None = None
    """How many clips are ``done``, and how many the tasks make that are ``running``, ``waiting``, ``failed`` or
    ``unknown``; None for a stage that makes none.
    """
    expected_end: datetime | None = None
    """Of an array, if it goes on as until now."""

    @property
    def state(self) -> str:
        """In one word."""
        if self.num_done == self.num_tasks:
            return "done"
        if self.running:
            return "running"
        if self.num_waiting:
            return "waiting"
        return "failed" if self.num_failed else "unknown"

    @property
    def share(self) -> float:
        """How much of the whole work is done, 0 to 1, as far as logs tell."""
        return (self.num_done + sum(task.share or 0.0 for task in self.running)) / max(1, self.num_tasks)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "stage": self.stage,
            "state": self.state,
            "num_tasks": self.num_tasks,
            "num_done": self.num_done,
            "num_running": len(self.running),
            "num_waiting": self.num_waiting,
            "num_failed": self.num_failed,
            "num_unknown": self.num_unknown,
            "share": round(self.share, 4),
            "clips": self.clips,
            "expected_end": self.expected_end.isoformat(timespec="seconds") if self.expected_end else None,
            "failures": self.failures,
        }


def read_stages(jobs: Path, queue: Sequence[QueuedJob] | None) -> list[StageProgress]:
    """The newest submission of each stage whose jobs are in the folder ``jobs``, in the order of the stages.

    Args:
        queue: what Slurm has in its queue, or None where it gives no answer.
    """
    recorded = submitted.names_in(jobs)
    if not recorded:
        return []
    newest: dict[str, Path] = {}
    for folder in sorted(path for path in jobs.iterdir() if _FOLDER.fullmatch(path.name)):
        newest[folder.name.partition("-")[0]] = folder
    found = (_read(stage, newest[stage], recorded, queue) for stage in STAGES if stage in newest)
    return [one for one in found if one is not None]


def _read(
    stage: str, folder: Path, recorded: Collection[str], queue: Sequence[QueuedJob] | None
) -> StageProgress | None:
    lines = [line for line in read_lines(folder) if line.first.partition("_")[0] in recorded]
    if not lines:
        return None  # of this machine: its progress is on the terminal that started it
    queued = {job.job_id: job for job in queue or ()}
    rest = [line for line in lines if not line.is_done]
    at_slurm = [queued[line.job_id] for line in rest if line.job_id in queued]
    running = [job for job in at_slurm if job.state not in _WAITING]
    gone = [line for line in rest if line.job_id not in queued]
    failed = [line for line in gone if line.failure is not None or queue is not None]
    progress = StageProgress(
        stage,
        folder,
        num_tasks=len(lines),
        num_done=len(lines) - len(rest),
        num_waiting=len(at_slurm) - len(running),
        num_failed=len(failed),
        num_unknown=len(gone) - len(failed),
        running=_look_at_all(running, folder),
        failures=[{"job": line.job_id, "reason": line.failure or _SILENT} for line in failed[:_NAMED_FAILURES]],
    )
    end = _expected_end(progress, lines) if progress.running and len(lines) > 1 else None
    return replace(progress, clips=_clips(folder, lines, at_slurm, failed), expected_end=end)


def note_clips(folder: Path, numbers: Sequence[int]) -> None:
    """Leave in the folder of a submission how many clips each of its tasks makes."""
    durable.write_json(folder / _CLIPS, list(numbers))


def _clips(
    folder: Path, lines: Sequence[Line], at_slurm: Sequence[QueuedJob], failed: Sequence[Line]
) -> dict[str, int] | None:
    try:
        numbers = [int(number) for number in json.loads((folder / _CLIPS).read_bytes())]
    except (OSError, ValueError, TypeError):
        return None
    waiting = {job.job_id for job in at_slurm if job.state in _WAITING}
    queued = {job.job_id for job in at_slurm}
    gone = {line.first for line in failed}
    clips = dict.fromkeys(("done", "running", "waiting", "failed", "unknown"), 0)
    for line, number in zip(lines, numbers, strict=False):
        state = "done" if line.is_done else "waiting" if line.job_id in waiting else "unknown"
        if not line.is_done and line.job_id in queued - waiting:
            state = "running"
        clips["failed" if line.first in gone else state] += number
    return clips


def _expected_end(progress: StageProgress, lines: Sequence[Line]) -> datetime | None:
    """From what was done since the first task of the array was; None while that says nothing."""
    ended = submitted.ends(progress.folder.parent)
    times = [ended[line.job_id] for line in lines if line.is_done and line.job_id in ended]
    now = datetime.now(timezone.utc)
    share_since = progress.share - 1 / progress.num_tasks
    if len(times) < _FEWEST_ENDS or share_since <= 0:
        return None
    left = 1 - progress.share - progress.num_failed / progress.num_tasks
    return now + (now - min(times)) * max(0.0, left / share_since)


def _look_at_all(jobs: Sequence[QueuedJob], folder: Path) -> list[RunningTask]:
    files = os.listdir(folder) if jobs else []
    return [_look_at(job, folder, files) for job in jobs]


def _look_at(job: QueuedJob, folder: Path, files: Iterable[str]) -> RunningTask:
    log = newest_log(job.job_id, folder, files)
    signs = [job.start_time, *([_modified(log)] if log else [])]
    share = _share(log) if log else None
    last = max((sign for sign in signs if sign), default=datetime.now(timezone.utc))
    return RunningTask(job.job_id, job.nodes, share, last)


def newest_log(task: str, folder: Path, files: Iterable[str], rank: int = 0) -> Path | None:
    """The log of a task's latest start."""
    head = f"{task}_{rank}{RESTART_LOG}"
    restarts = [name.removeprefix(head).removesuffix(".log") for name in files if name.startswith(head)]
    numbers = [int(restart) for restart in restarts if restart.isdigit()]
    return folder / f"{head}{max(numbers)}.log" if numbers else None


def _modified(path: Path) -> datetime | None:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, timezone.utc)
    except OSError:
        return None


def _share(log: Path) -> float | None:
    for line in reversed(last_lines(log)):
        if progress := progress_lines.read(line):
            done, total = progress
            return min(1.0, done / max(1, total))
    return None
