"""The hours that the attempts of a run have taken together, and whether any are left."""

from __future__ import annotations

from jobs.attempts import read_attempts
from wavenet.checkpoint.store import list_committed
from wavenet.run_paths import RunPaths
from wavenet.training.hours import used_up
from wavenet.training.spent import account_of


def require_hours(run: RunPaths, most: float) -> float:
    """The seconds that were used, in the time of its attempts, queues not counted.

    Raises:
        HoursUsedError: of ``most`` hours nothing is left; 0 is no limit.
    """
    used = account_of(attempt.spent for attempt in read_attempts(run)).used
    if most and used >= 3600 * most:
        raise used_up(most, run.name, max((checkpoint.step for checkpoint in list_committed(run)), default=0))
    return used
