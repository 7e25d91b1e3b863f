"""``wavenet status``: what each run is doing, its restarts and why, what is left. Reads files only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from jobs import submitted
from jobs.attempts import Attempt, read_attempts
from jobs.folders import DEFAULT_ROOT, absolute, run_paths, shown
from jobs.frozen import read_config
from jobs.ownership import is_alive
from jobs.scheduler import QueuedJob
from jobs.terminal import duration, fraction
from wavenet.checkpoint.ledger import Claim, current_claim
from wavenet.checkpoint.store import list_committed
from wavenet.errors import InputError, WavenetError
from wavenet.run_paths import RunPaths
from wavenet.settings import key


@dataclass(frozen=True, kw_only=True)
class StatusKeys:
    """Keys of ``wavenet status``."""

    run: str = key("", "one run, by its name below root or its path; empty: all runs below root")
    root: str = key(DEFAULT_ROOT, "folder of the runs that are given by name")
    json: bool = key(False, "print JSON, one object for each run; --json does the same")


@dataclass(frozen=True)
class RunStatus:
    """Where one run stands. ``owner_alive`` is None where only another machine could tell."""

    run: str
    stage: str
    step: int
    num_steps: int
    saved_step: int
    loss: float | None
    seconds_per_step: float | None
    seconds_left: float | None
    host: str | None
    pid: int | None
    job_id: str | None
    owner_alive: bool | None
    restarts: list[dict[str, Any]]
    jobs: list[dict[str, str]]
    """Those in Slurm's queue, with their states and reasons."""
    last_decision: str | None
    """What became of the newest job that has ended."""
    num_generated: int
    report: str | None
    problem: str | None = None


def status(keys: StatusKeys) -> None:
    """Print where one run, or every run, stands."""
    runs = [run_paths(keys.run, keys.root)] if keys.run else list_runs(absolute(keys.root))
    if keys.run and not runs[0].root.is_dir():
        at = shown(runs[0].root)
        raise InputError(f"there is no run at {at!r}; `wavenet status` lists the runs below {keys.root}")
    queue = submitted.in_queue(*runs)
    states = [look_at(run, queue) for run in runs]
    if keys.json:
        print(json.dumps([asdict(state) for state in states], indent=1, ensure_ascii=True))
    elif not states:
        print(f"no runs in {shown(absolute(keys.root))}; `wavenet train run=NAME` starts one")
    else:
        print("\n".join(line for state in states for line in in_words(state)))


def list_runs(root: Path) -> list[RunPaths]:
    """The run folders below ``root``, by name."""
    if not root.is_dir():
        return []
    runs = [RunPaths(folder) for folder in sorted(root.iterdir()) if folder.is_dir()]
    return [run for run in runs if run.config.exists() or run.ledger.is_dir() or submitted.names(run)]


def look_at(run: RunPaths, queue: Sequence[QueuedJob] | None = ()) -> RunStatus:
    """Where ``run`` stands, given Slurm's queue (None: no answer).

    A run whose files cannot be read is told with its problem, the others as usual.
    """
    try:
        config, problem = read_config(run) or {}, None
    except WavenetError as error:
        config, problem = {}, str(error)
    attempts = read_attempts(run)
    claim = current_claim(run)
    recorded = submitted.names(run)
    jobs = [job for job in queue or () if job.array_id in recorded]
    if queue is None and recorded:
        problem = problem or "squeue does not say which of its jobs are in the queue"
    last = attempts[-1] if attempts else None
    saved = max((checkpoint.step for checkpoint in list_committed(run)), default=0)
    num_steps = int(config.get("training", {}).get("num_steps", last.num_steps if last else 0))
    alive = _is_alive(claim, jobs, is_known=queue is not None) if claim else False
    has_ended = last is None or last.cause is not None
    step = max(saved, last.step if last and not has_ended else 0)
    rate = last.seconds_per_step if last else None
    return RunStatus(
        run=run.name,
        stage=_stage(run, saved, num_steps, alive=alive, last=last, jobs=jobs),
        step=step,
        num_steps=num_steps,
        saved_step=saved,
        loss=last.loss if last else None,
        seconds_per_step=rate,
        seconds_left=(num_steps - step) * rate if rate and num_steps > step else None,
        host=claim.owner.host if claim else None,
        pid=claim.owner.pid if claim else None,
        job_id=claim.owner.job_id if claim else None,
        owner_alive=alive,
        restarts=_restarts(attempts),
        jobs=[asdict(job) for job in jobs],
        last_decision=submitted.last_decision(run),
        num_generated=_num_generated(run),
        report=shown(run.report / "index.html") if (run.report / "index.html").exists() else None,
        problem=problem,
    )


def _is_alive(claim: Claim, jobs: Sequence[QueuedJob], *, is_known: bool) -> bool | None:
    """Of an owner in a job Slurm knows more than its process id says."""
    if claim.owner.job_id is None or not is_known:
        return is_alive(claim)
    return any(job.job_id == claim.owner.job_id and job.state == "RUNNING" for job in jobs)


def _stage(
    run: RunPaths, saved: int, num_steps: int, *, alive: bool | None, last: Attempt | None, jobs: Sequence[QueuedJob]
) -> str:
    if jobs and all(job.state == "PENDING" for job in jobs):
        return "queued"
    if last is None:
        return "imported" if saved else ("starting" if jobs else "new")
    return _stage_begun(run, saved, num_steps, alive=alive, last=last)


def _stage_begun(run: RunPaths, saved: int, num_steps: int, *, alive: bool | None, last: Attempt) -> str:
    if alive and last.cause is None:
        return "training"
    if num_steps and saved >= num_steps:
        if (run.report / "index.html").exists():
            return "reported"
        return "generated" if _num_generated(run) else "trained"
    if last.cause is None and alive is None:
        return "training elsewhere, or lost"
    return f"interrupted ({last.cause or 'crash'})"


def _restarts(attempts: Sequence[Attempt]) -> list[dict[str, Any]]:
    """One entry for each attempt after the first: why the one before it ended, and whether it moved."""
    return [
        {"step": now.resumed_step, "cause": before.cause or "crash", "moved": now.host != before.host, "host": now.host}
        for before, now in pairwise(attempts)
    ]


def _num_generated(run: RunPaths) -> int:
    return sum(1 for _ in run.generated.glob("gen_*.json")) if run.generated.is_dir() else 0


def in_words(state: RunStatus) -> list[str]:
    """A line or two for a person."""
    words = [f"{state.run}: {state.stage}"]
    if state.num_steps:
        words.append(f"step {fraction(state.step, state.num_steps)}")
    if state.loss is not None:
        words.append(f"loss {state.loss:.3f}")
    if state.seconds_per_step is not None:
        words.append(f"{state.seconds_per_step:.3f} s/step")
    if state.seconds_left is not None and state.stage == "training":
        words.append(f"{duration(state.seconds_left)} left")
    if state.stage == "training":
        words.append(f"process {state.pid} on {state.host}")
    if state.num_generated:
        words.append(f"{state.num_generated} clips generated")
    if state.report:
        words.append(state.report)
    lines = [", ".join(words)]
    if state.restarts:
        causes = [one["cause"] + (" (moved)" if one["moved"] else "") for one in state.restarts]
        counted = ", ".join(f"{causes.count(cause)} x {cause}" for cause in dict.fromkeys(causes))
        lines.append(f"    restarts: {counted}; the last at step {state.restarts[-1]['step']}")
    lines += [f"    {submitted.in_words(QueuedJob(**job) for job in state.jobs)}"] if state.jobs else []
    if state.last_decision and not state.jobs and state.stage.startswith(("interrupted", "new")):
        lines.append(f"    {state.last_decision}")
    if state.problem:
        lines.append(f"    {state.problem}")
    return lines
