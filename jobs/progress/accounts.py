"""Where the time of a run has gone, as ``wavenet status`` tells it: of each attempt, of all, and what commits cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from jobs.attempts import Attempt
from jobs.terminal import plural
from wavenet.report.words import duration
from wavenet.training.spent import account_of


def of_attempts(attempts: Sequence[Attempt]) -> list[dict[str, Any]]:
    """One object for each attempt; times in seconds."""
    return [
        {
            "attempt": one.attempt,
            "host": one.host,
            "job_id": one.job_id,
            "restart_count": one.restart_count,
            "started": one.started,
            "cause": one.cause,
            "resumed_step": one.resumed_step,
            "last_step": one.step,
            "lost_steps": one.lost_steps,
            "damages": one.damages,
            **{f"{part}_seconds": _rounded(seconds) for part, seconds in asdict(one.spent).items()},
        }
        for one in attempts
    ]


def of_run(attempts: Sequence[Attempt]) -> dict[str, Any] | None:
    """All attempts together; None before the first one."""
    if not attempts:
        return None
    account = account_of(one.spent for one in attempts)
    parts = {f"{part}_seconds": _rounded(seconds) for part, seconds in asdict(account).items()}
    return {
        "goodput": _rounded(account.goodput),
        "used_hours": _rounded(account.used / 3600),
        "wasted_hours": _rounded(account.wasted / 3600),
        **parts,
    }


def in_words(time: dict[str, Any] | None, stalls: dict[str, Any] | None) -> list[str]:
    """A line on goodput and hours, and on commits; nothing where nothing is known yet."""
    told = [*_time_in_words(time), *_stalls_in_words(stalls)]
    return ["; ".join(told)] if told else []


def _time_in_words(time: dict[str, Any] | None) -> Iterable[str]:
    if time is None or time["goodput"] is None:
        return
    used, wasted = duration(3600 * time["used_hours"]), duration(3600 * time["wasted_hours"])
    yield f"{used} used, {wasted} wasted, goodput {100 * time['goodput']:.1f} %"
    if time["queue_seconds"]:
        yield f"{duration(time['queue_seconds'])} in queue"


def _stalls_in_words(stalls: dict[str, Any] | None) -> Iterable[str]:
    if stalls is None:
        return
    every = f", one in {duration(stalls['interval'])}" if stalls["interval"] else ""
    count = plural(stalls["count"], "commit")
    yield f"{count}{every}, stall p50 {stalls['p50']:.3f} s, p99 {stalls['p99']:.3f} s"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
