"""What ``wavenet status`` tells a person: a line or a few for each run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from jobs.progress import accounts
from jobs.progress.queue_words import meaning
from jobs.progress.standing import RunStatus
from jobs.queue import submitted
from jobs.queue.scheduler import QueuedJob
from jobs.terminal import duration, fraction, plural

_INDENT = "    "


def in_words(state: RunStatus, now: datetime | None = None) -> list[str]:
    """The run's line, and below it what else there is to know."""
    now = now or datetime.now(timezone.utc)
    lines = [", ".join(_headline(state, now)), *_restarts(state), *_damages(state)]
    lines += accounts.in_words(state.time, state.stalls)
    lines += _jobs([QueuedJob(**job) for job in state.jobs], now)
    lines += stages_in_words(state.stages, now)
    lines += [
        f"no progress since {clock(stall['since'], now)} on {stall['host']}: {stall['what']}" for stall in state.stalled
    ]
    lines += [f"stays away from {', '.join(state.excluded)}, after two faults each"] if state.excluded else []
    lines += [f"held: job {one['job_id']} ({one['reason']}); {one['remedy']}" for one in state.held]
    lines += [f"ended in {state.ended}"] if state.ended else []
    if state.last_decision and not state.jobs and not state.ended and state.stage.startswith(("interrupted", "new")):
        lines.append(state.last_decision)
    lines += [state.problem] if state.problem else []
    return [lines[0], *(_INDENT + line for line in lines[1:])]


def _headline(state: RunStatus, now: datetime) -> Iterable[str]:
    yield f"{state.run}: {state.stage}"
    if state.num_steps:
        yield f"step {fraction(state.step, state.num_steps)}"
    if state.loss is not None:
        yield f"loss {state.loss:.3f}"
    if state.seconds_per_step is not None:
        yield f"{state.seconds_per_step:.3f} s/step"
    if state.expected_end and state.seconds_left is not None:
        yield f"{duration(state.seconds_left)} left, until {clock(state.expected_end, now)}"
    if state.stage == "training":
        yield f"process {state.pid} on {state.host}"
    if state.num_generated:
        yield f"{plural(state.num_generated, 'clip')} generated"
    if state.report:
        yield state.report


def _restarts(state: RunStatus) -> list[str]:
    if not state.restarts:
        return []
    causes = [one["cause"] + (" (moved)" if one["moved"] else "") for one in state.restarts]
    counted = ", ".join(f"{causes.count(cause)} x {cause}" for cause in dict.fromkeys(causes))
    last = state.restarts[-1]
    return [f"restarts: {counted}; the last at step {last['step']} on {last['host']}"]


def _damages(state: RunStatus) -> list[str]:
    """What the attempts found damaged, and from where they went on."""
    return [
        f"damaged: {damage}; attempt {one['attempt']} went on from step {one['resumed_step']}"
        for one in state.attempts
        for damage in one["damages"]
    ]


def _jobs(jobs: Sequence[QueuedJob], now: datetime) -> list[str]:
    """A line for each job or array; stages of a chain that wait for one another are told as stages."""
    by_array: dict[str, list[QueuedJob]] = {}
    for job in jobs:
        by_array.setdefault(job.array_id, []).append(job)
    at_work = [group for group in by_array.values() if not all(job.reason == "Dependency" for job in group)]
    return [
        "".join([submitted.in_words(group), *_more(group[0], now)])
        for group in (at_work if len(by_array) > 1 else by_array.values())
    ]


def _more(job: QueuedJob, now: datetime) -> Iterable[str]:
    if words := meaning(job):
        yield f": {words}"
    if job.state == "PENDING" and job.start_time and job.start_time > now:
        yield f", expected to start {clock(job.start_time.isoformat(), now)}"


def stages_in_words(stages: Sequence[dict[str, Any]], now: datetime | None = None) -> list[str]:
    """One line on all stages where there are several, and more on arrays at work; nothing when all is done."""
    if all(one["state"] == "done" for one in stages):
        return []
    now = now or datetime.now(timezone.utc)
    lines = ["stages: " + ", ".join(f"{one['stage']} {one['state']}" for one in stages)] if len(stages) > 1 else []
    for one in stages:
        if one["num_tasks"] > 1 and one["state"] not in ("done", "waiting"):
            lines += _array(one, now)
        if one["state"] == "failed":
            break  # those after it could not begin, and say no more than that
    return lines


def _array(stage: dict[str, Any], now: datetime) -> list[str]:
    named = [f"  job {failure['job']} failed: {failure['reason']}" for failure in stage["failures"]]
    more = stage["num_failed"] - len(named)
    return [f"{stage['stage']}: {_counts(stage, now)}", *named, *([f"  and {more} more failed"] if more else [])]


def _counts(stage: dict[str, Any], now: datetime) -> str:
    """Of clips where the stage makes some, else of tasks."""
    states = ("done", "running", "waiting", "failed", "unknown")
    counts: dict[str, int] = stage.get("clips") or {state: stage[f"num_{state}"] for state in states}
    noun = "clip" if stage.get("clips") else "task"
    words = [f"{counts['done']} of {plural(sum(counts.values()), noun)} done"]
    words += [f"{counts[state]} {state}" for state in states[1:] if counts[state]]
    words.append(f"{100 * stage['share']:.0f} % of the work")
    if end := stage.get("expected_end"):
        left = max(0.0, (datetime.fromisoformat(end) - now).total_seconds())
        words.append(f"{duration(left)} left, until {clock(end, now)}")
    return ", ".join(words)


def clock(time: str, now: datetime) -> str:
    """A clock time of here, with as much of the date as is needed: ``14:03``, ``Tue 14:03``, ``2026-12-24 14:03``."""
    local, today = datetime.fromisoformat(time).astimezone(), now.astimezone()
    if local.date() == today.date():
        return f"{local:%H:%M}"
    return f"{local:%a %H:%M}" if abs(local - today) < timedelta(days=6) else f"{local:%Y-%m-%d %H:%M}"
