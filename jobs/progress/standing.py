"""Where one run stands, from its files and from what Slurm has in its queue. No torch, no numpy, no accounting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from typing import Any

from jobs.attempts import Attempt, read_attempts, read_stalls
from jobs.folders import shown
from jobs.keys.frozen import read_config
from jobs.progress import accounts, stalls
from jobs.progress.exclusions import excluded_hosts
from jobs.progress.queue_words import held
from jobs.progress.stage_progress import StageProgress, read_stages
from jobs.queue import submitted
from jobs.queue.scheduler import QueuedJob
from jobs.work.ownership import is_alive
from wavenet.checkpoint.ledger import Claim, claim_of, entries_backwards
from wavenet.errors import WavenetError
from wavenet.run_paths import RunPaths

_AT_WORK = {
    "plan": "planning",
    "prepare": "preparing",
    "index": "indexing",
    "train": "starting",
    "generate": "generating",
    "report": "reporting",
}


@dataclass(frozen=True)
class RunStatus:
    """Where one run stands; what ``wavenet status --json`` prints, one object for each run. Times are ISO 8601."""

    run: str
    stage: str
    """``new``, ``queued``, ``planning``, ``preparing``, ``indexing``, ``starting``, ``training``, ``training elsewhere,
    or lost``, ``interrupted (CAUSE)``, ``failed (STAGE)``, ``trained``, ``generating``, ``generated``, ``reporting``,
    ``reported`` or ``imported``.
    """
    step: int
    num_steps: int
    position: int
    """Batches consumed."""
    saved_step: int
    loss: float | None
    seconds_per_step: float | None
    seconds_left: float | None
    expected_end: str | None
    """Of the training, if nothing interrupts it."""
    host: str | None
    pid: int | None
    job_id: str | None
    owner_alive: bool | None
    """None where only another machine could tell."""
    restarts: list[dict[str, Any]]
    """For each attempt after the first: at which ``step`` and ``time``, on which ``host``, whether it ``moved``, and
    the ``cause`` of the end of the attempt before it.
    """
    attempts: list[dict[str, Any]]
    """Each one's ``host``, ``job_id``, ``restart_count``, ``cause`` of its end, steps made and lost, ``damages`` it
    found, and its seconds in queue, start-up, loading and first step, in steps that counted, lost ones and commits.
    """
    time: dict[str, Any] | None
    """Of all attempts: ``goodput``, the share of the used time in steps that counted; ``used_hours``; ``wasted_hours``,
    in which nothing was computed that counts; and the seconds of each part.
    """
    stalls: dict[str, Any] | None
    """For how many seconds training stood still for commits: ``count``, ``p50``, ``p99``; and the present ``interval``
    between commits by the clock, of whose work a kill costs no more.
    """
    jobs: list[dict[str, str]]
    """Those in Slurm's queue: ``job_id``, ``state``, ``reason``, ``nodes``, ``name`` and (expected) ``start``."""
    is_queue_known: bool
    """Whether squeue gave an answer, if it had to be asked."""
    excluded: list[str]
    """Hosts that the newest job stays away from, for two faults each without a new checkpoint between them."""
    held: list[dict[str, str]]
    """Jobs that will not start by themselves: ``job_id``, ``reason``, and the ``remedy``."""
    stages: list[dict[str, Any]]
    """Of those submitted to Slurm, in their order: ``stage``, ``state`` (done, running, waiting, failed, unknown),
    how many tasks are in which state, the ``share`` of the work that is done, and why the first ``failures`` failed.
    """
    stalled: list[dict[str, str]]
    """What is running and shows no progress: ``what``, ``since`` when, and on which ``host``."""
    ended: str | None
    """Why the stages ended before their end."""
    last_decision: str | None
    """What became of the newest job that has ended."""
    num_generated: int
    report: str | None
    problem: str | None = None


@dataclass(frozen=True)
class _Found:
    """What was read of a run."""

    run: RunPaths
    last: Attempt | None
    claim: Claim | None
    saved: int
    num_steps: int
    jobs: list[QueuedJob]
    stages: list[StageProgress]
    is_queue_known: bool

    @property
    def is_open(self) -> bool:
        """Whether the newest attempt has written no end."""
        return self.last is not None and self.last.cause is None

    @property
    def is_alive(self) -> bool | None:
        """Of an owner in a job Slurm knows more than its process id says."""
        if self.claim is None:
            return False
        owner = self.claim.owner
        if owner.job_id is None or not self.is_queue_known:
            return is_alive(self.claim)
        return any(job.job_id == owner.job_id and self._has_begun(job) for job in self.jobs)

    def _has_begun(self, job: QueuedJob) -> bool:
        """Whether the newest attempt is of the job's present start, not of one before it that left no end."""
        if job.state != "RUNNING" or self.last is None or self.last.started is None:
            return False
        return job.start_time is None or datetime.fromisoformat(self.last.started) >= job.start_time


def look_at(
    run: RunPaths,
    queue: Sequence[QueuedJob] | None = (),
    *,
    now: datetime | None = None,
    stall_seconds: float = stalls.DEFAULT_SECONDS,
) -> RunStatus:
    """Where ``run`` stands, given Slurm's queue (None: no answer).

    A run whose files cannot be read is told with its problem, the others as usual.
    """
    now = now or datetime.now(timezone.utc)
    try:
        config, problem = read_config(run) or {}, None
    except WavenetError as error:
        config, problem = {}, str(error)
    attempts = read_attempts(run)
    found = _found(run, config, attempts, queue)
    if not found.is_queue_known:
        problem = problem or "squeue gives no answer: which of its jobs are in the queue is not known"
    last, alive = found.last, found.is_alive
    step = max(found.saved, last.step if last and found.is_open else 0)
    rate = last.seconds_per_step if last else None
    left = (found.num_steps - step) * rate if rate and found.num_steps > step else None
    stage = _stage(found, alive=alive)
    is_training = stage == "training"
    return RunStatus(
        run=run.name,
        stage=stage,
        step=step,
        num_steps=found.num_steps,
        position=step,
        saved_step=found.saved,
        loss=last.loss if last else None,
        seconds_per_step=rate,
        seconds_left=left,
        expected_end=_iso(now + timedelta(seconds=left)) if left is not None and is_training else None,
        host=last.host if last else None,
        pid=last.pid if last else None,
        job_id=last.job_id if last else None,
        owner_alive=alive,
        restarts=_restarts(attempts),
        attempts=accounts.of_attempts(attempts),
        time=accounts.of_run(attempts),
        stalls=_stalls(run, found),
        jobs=[asdict(job) for job in found.jobs],
        is_queue_known=found.is_queue_known,
        excluded=excluded_hosts(run),
        held=held(found.jobs),
        stages=[one.to_dict() for one in found.stages],
        stalled=_stalled(found, is_training=is_training, now=now, stall_seconds=stall_seconds),
        ended=_why_ended(found),
        last_decision=submitted.last_decision(run),
        num_generated=_num_generated(run),
        report=shown(run.report / "index.html") if (run.report / "index.html").exists() else None,
        problem=problem,
    )


def _found(
    run: RunPaths, config: dict[str, Any], attempts: Sequence[Attempt], queue: Sequence[QueuedJob] | None
) -> _Found:
    last = attempts[-1] if attempts else None
    recorded = submitted.names(run)
    jobs = [job for job in queue or () if job.array_id in recorded]
    claim, saved = _from_ledger(run, last)
    num_steps = int(config.get("training", {}).get("num_steps", last.num_steps if last else 0))
    is_known = queue is not None or not recorded
    stages = read_stages(run.jobs, jobs if is_known else None)
    return _Found(run, last, claim, saved, num_steps, jobs, stages, is_known)


def _from_ledger(run: RunPaths, last: Attempt | None) -> tuple[Claim | None, int]:
    """The claim of an attempt that may be alive, and the newest committed step; of a long ledger only its end."""
    deleted: set[int] = set()
    claim, saved, newest = None, None, 0
    for entry in entries_backwards(run):
        newest = max(newest, entry.attempt)
        if entry.kind == "claim":
            claim = claim or claim_of(entry)
        elif entry.kind == "delete":
            deleted.add(entry.facts["step"])
        elif entry.kind == "commit" and entry.facts["step"] not in deleted:
            saved = saved or entry.facts["step"]
        has_ended = last is not None and last.cause is not None and newest <= last.attempt
        if saved is not None and (claim or has_ended):
            break
    return claim, saved or 0


def _stage(found: _Found, *, alive: bool | None) -> str:
    if alive and found.is_open:
        return "training"
    at_work = [one.stage for one in found.stages if one.running]
    if at_work:
        return _AT_WORK[at_work[0]]
    if found.jobs:
        return "queued" if all(job.state == "PENDING" for job in found.jobs) else "starting"
    if found.is_queue_known and (failed := _failed(found)) and failed.stage != "train":
        return f"failed ({failed.stage})"
    if found.last is None:
        return "imported" if found.saved else "new"
    return _stage_begun(found, found.last, alive=alive)


def _stage_begun(found: _Found, last: Attempt, *, alive: bool | None) -> str:
    if found.num_steps and found.saved >= found.num_steps:
        if (found.run.report / "index.html").exists():
            return "reported"
        return "generated" if _num_generated(found.run) else "trained"
    if last.cause is None and alive is None:
        return "training elsewhere, or lost"
    return f"interrupted ({last.cause or last.told or 'crash'})"


def _failed(found: _Found) -> StageProgress | None:
    """The first stage that did not come to its end, if any; those after it could not begin."""
    return next((one for one in found.stages if one.state == "failed"), None)


def _why_ended(found: _Found) -> str | None:
    failed = _failed(found)
    if found.jobs or not found.is_queue_known or failed is None or not failed.failures:
        return None
    return f"{failed.stage}: {failed.failures[0]['reason']}"


def _stalled(found: _Found, *, is_training: bool, now: datetime, stall_seconds: float) -> list[dict[str, str]]:
    training = stalls.of_training(found.run, found.last, found.jobs, now, stall_seconds) if is_training else []
    others = [one for one in found.stages if not (is_training and one.stage == "train")]
    return [*training, *(stall for one in others for stall in stalls.of_stage(one, now, stall_seconds))]


def _restarts(attempts: Sequence[Attempt]) -> list[dict[str, Any]]:
    """One entry for each attempt after the first: why the one before it ended, and whether it moved."""
    return [
        {
            "step": now.resumed_step,
            "time": now.started,
            "cause": before.cause,
            "moved": now.host != before.host,
            "host": now.host,
        }
        for before, now in pairwise(attempts)
    ]


def _stalls(run: RunPaths, found: _Found) -> dict[str, Any] | None:
    stalls = read_stalls(run, found.last, found.saved)
    return asdict(stalls) if stalls else None


def _num_generated(run: RunPaths) -> int:
    return sum(1 for _ in run.generated.glob("gen_*.json")) if run.generated.is_dir() else 0


def _iso(time: datetime) -> str:
    return time.isoformat(timespec="seconds")
