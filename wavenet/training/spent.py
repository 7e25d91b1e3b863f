"""How the time of a run's attempts was spent, and the share of it in steps that counted. No torch, and no files.

All of it comes from the rows of the histories: no scheduler is asked, and none has to keep accounts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from wavenet.training.rows import Row, Rows, first


@dataclass(frozen=True)
class Spent:
    """Seconds of one attempt. None: it did not come so far, or nothing had to wait in a queue for it.

    ``used`` runs from the beginning of its job or process to its end, or to the last that was seen of it. ``steps`` and
    ``validation`` are those that count, ``lost`` those that a later attempt made again, ``commits`` the time for which
    training stood still until a checkpoint was committed.
    """

    queue: float | None = None
    startup: float = 0.0
    loading: float | None = None
    first_step: float | None = None
    used: float = 0.0
    steps: float = 0.0
    validation: float = 0.0
    commits: float = 0.0
    lost: float = 0.0


@dataclass(frozen=True)
class Account:
    """Seconds of all attempts of a run; ``other`` is none of what it stands beside, such as a step that was cut off."""

    queue: float = 0.0
    used: float = 0.0
    steps: float = 0.0
    validation: float = 0.0
    commits: float = 0.0
    lost: float = 0.0
    startup: float = 0.0
    loading: float = 0.0
    other: float = 0.0

    @property
    def goodput(self) -> float | None:
        """The share of the used time in steps that counted; None where that is not known."""
        return self.steps / self.used if self.used and self.steps else None

    @property
    def wasted(self) -> float:
        """Seconds in which nothing was computed that counts."""
        return max(0.0, self.used - self.steps - self.validation)


@dataclass(frozen=True)
class Stalls:
    """For how long training stood still for a commit, over a whole run: median and 99th percentile in seconds.

    ``interval`` is how long after the newest of them the next one is due by the clock, in seconds; None if never.
    """

    count: int
    p50: float
    p99: float
    interval: float | None


def kept_steps(resumed: Sequence[int]) -> list[int | None]:
    """Of each attempt the last step whose making counts, given where each went on; None of the newest.

    An attempt that found its newest checkpoint damaged goes on before where the one before it had begun.
    """
    kept: list[int | None] = []
    least: int | None = None
    for step in reversed(resumed):
        kept.append(least)
        least = step if least is None else min(least, step)
    return kept[::-1]


def spent_of(rows: Rows, kept: Row, following: Row | None) -> Spent:
    """Of one attempt.

    Args:
        rows: its first and last ones at least; those between make no difference.
        kept: its newest row that says how the time was spent until the last step that counts.
        following: the first row of the attempt after it, None of the newest.
    """
    start = first(rows, "start")
    total: Row = next((row["spent"] for row in reversed(rows) if "spent" in row), {})
    counted: Row = kept.get("spent", {})
    made, count = (sum(part.get(name, 0.0) for name in ("steps", "validation")) for part in (total, counted))
    return Spent(
        queue=start.get("queue_seconds"),
        startup=start.get("startup_seconds", 0.0),
        loading=first(rows, "ready").get("loading_seconds"),
        first_step=next((row["first_step_seconds"] for row in rows if "first_step_seconds" in row), None),
        used=_used(rows, start, following),
        steps=counted.get("steps", 0.0),
        validation=counted.get("validation", 0.0),
        commits=total.get("commits", 0.0),
        lost=made - count,
    )


def _used(rows: Rows, start: Row, following: Row | None) -> float:
    if not rows:
        return 0.0
    ended = datetime.fromisoformat(rows[-1]["time"])
    if following and following.get("job_id") is not None and following["job_id"] == start.get("job_id"):
        # Slurm put the job back when it had let go of its node, which may have been long after a last sign of life.
        ended = max(ended, _queued(following))
    return max(0.0, (ended - began(rows)).total_seconds())


def began(rows: Rows) -> datetime:
    """When the job or process of an attempt began that wrote these rows, at least one."""
    return datetime.fromisoformat(rows[0]["time"]) - timedelta(seconds=rows[0].get("age_seconds", 0.0))


def _queued(start: Row) -> datetime:
    return began([start]) - timedelta(seconds=start.get("queue_seconds") or 0.0)


def account_of(attempts: Iterable[Spent]) -> Account:
    """All attempts of a run together."""
    attempts = list(attempts)

    def total(name: str) -> float:
        return float(sum(getattr(spent, name) or 0.0 for spent in attempts))

    named = {name: total(name) for name in ("steps", "validation", "commits", "lost", "startup", "loading")}
    used = total("used")
    return Account(queue=total("queue"), used=used, other=max(0.0, used - sum(named.values())), **named)


def stalls_of(row: Row) -> Stalls | None:
    """What a commit's row, or the first row of an attempt, says about all commits of the run before it."""
    facts = row.get("stalls")
    return Stalls(**facts) if facts else None


def summary_of(stalls: Sequence[float], interval: float | None) -> Stalls:
    """Of all commits of a run, at least one."""
    return Stalls(len(stalls), percentile(stalls, 0.5), percentile(stalls, 0.99), interval)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest of ``values``, at least one, that no less than ``share`` of them do not exceed."""
    return sorted(values)[max(1, math.ceil(share * len(values))) - 1]
