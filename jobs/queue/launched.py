"""How long a training process's job waited in Slurm's queue, and when it began. Slurm need keep no accounts for it."""

from __future__ import annotations

import time
from collections.abc import Mapping

from jobs.environment import Placement, excluded_hosts
from jobs.processes import age_seconds
from jobs.queue import scheduler
from jobs.queue.slurm_times import moment_of, seconds_of
from wavenet.training.job import Launch


def launch_of(place: Placement) -> Launch:
    """Of the present process; outside of Slurm nothing waits."""
    facts = {} if place.job_id is None else scheduler.facts_of(place.job_id)
    # Slurm counts whole seconds, in which its own preparations and the batch script are contained.
    age = max(age_seconds(), float(seconds_of(facts.get("RunTime", "")) or 0))
    return Launch(queue_seconds(facts, place.restart_count), time.monotonic() - age, excluded_hosts())


def queue_seconds(job: Mapping[str, str], restart_count: int) -> float | None:
    """From the moment when a job might have started to its start; None where Slurm does not say.

    Before its first start it does not wait for a node as long as it waits for other jobs or is held. One that is put
    back counts as submitted then, and the pause before it may start is a part of what the restart costs.
    """
    since = moment_of(job.get("SubmitTime" if restart_count else "EligibleTime", ""))
    start = moment_of(job.get("StartTime", ""))
    return None if since is None or start is None else max(0.0, start - since)
