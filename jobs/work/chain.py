"""Stages of Slurm jobs, one after the other, all submitted ahead, with no login session to stay open."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from jobs.cluster import ClusterConfig
from jobs.folders import HasJobs
from jobs.queue.submission import Submission, max_parallel, submit
from jobs.results import Result
from jobs.work import slurm_tasks
from jobs.work.local import fresh_folder
from wavenet.world import World

MOST_WORKERS = 16  # of an array whose plan is not known yet; a worker without a share ends at once


class Chain:
    """What has been submitted so far, for one run or data folder.

    Each stage begins when the one before is over, however that ended, and ends with its reason where that did not
    complete: a job that was preempted once may be recorded as failed though it succeeded later, and its markers tell.
    """

    def __init__(self, place: HasJobs, cluster: ClusterConfig) -> None:
        self._place = place
        self._cluster = cluster
        self._last: tuple[str, Path, int] | None = None

    def workers(self) -> list[World]:
        """The shares of a stage whose work is not known before it begins."""
        size = min(max_parallel(self._cluster), MOST_WORKERS)
        return [World(rank, size) for rank in range(size)]

    def add(
        self,
        stage: str,
        function: Callable[..., Result],
        calls: Sequence[tuple[Any, ...]],
        submission: Submission | None = None,
        sees: Sequence[Path] = (),
    ) -> None:
        """Submit the next stage, one job for each of the calls.

        Args:
            sees: what the jobs need of this machine beside the paths in their calls.

        Raises:
            StageFailedError: Slurm refused.
        """
        name = f"wavenet-{stage}-{self._place.name}"
        asked = submission or Submission.of(self._cluster, name, num_jobs=len(calls))
        folder = fresh_folder(self._place.jobs, stage)
        if self._last is None:
            job_id = submit(asked, folder, slurm_tasks.run, [(function, *call) for call in calls], sees=sees)
        else:
            after, before, num_before = self._last
            jobs = [(before, num_before, function, *call) for call in calls]
            job_id = submit(asked, folder, slurm_tasks.run_after, jobs, after=after, sees=sees)
        self._last = job_id, folder, len(calls)
