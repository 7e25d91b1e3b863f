"""``wavenet run`` on Slurm: all stages submitted ahead, with no login session to stay open."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from jobs import slurm_tasks, stages, stopped
from jobs.cluster import ClusterConfig
from jobs.folders import run_paths
from jobs.generate import GenerateKeys
from jobs.local import fresh_folder
from jobs.ownership import launching, require_free, require_not_queued
from jobs.prepare import PrepareKeys
from jobs.report import ReportKeys
from jobs.results import Result
from jobs.submission import Submission, max_parallel, require_slurm, submit
from jobs.train import TrainKeys
from jobs.train import submission as train_submission
from wavenet.run_paths import RunPaths
from wavenet.world import World

MOST_WORKERS = 16  # of an array whose plan is not known yet; a worker without a share ends at once


def submit_chain(prepare: PrepareKeys, train: TrainKeys, generate: GenerateKeys, report: ReportKeys) -> None:
    """Submit plan, prepare, index, train, generate and report.

    Each begins when the one before is over, however that ended, and ends with its reason where that did not complete:
    a job that was preempted once may be recorded as failed though it succeeded later, and its markers tell.

    Raises:
        BusyError: a job of the run is in the queue, or somebody trains it.
        UsageError: this machine has no Slurm.
        StageFailedError: Slurm refused.
    """
    require_slurm()
    run, cluster = run_paths(train.run, train.root), train.cluster
    require_not_queued(run, takeover=train.takeover)
    require_free(run, takeover=train.takeover)
    size = min(max_parallel(cluster), MOST_WORKERS)
    worlds = [World(rank, size) for rank in range(size)]
    with launching(run):
        stopped.unmark(run)
        chain = _Chain(run, cluster)
        chain.add("plan", stages.plan, [(prepare,)])
        chain.add("prepare", stages.write, [(prepare, world) for world in worlds])
        chain.add("index", stages.index, [(prepare,)])
        chain.add("train", stages.train, [(train,)], train_submission(train))
        chain.add("generate", stages.generate, [(generate, world) for world in worlds])
        chain.add("report", stages.report, [(report,)])


class _Chain:
    """What has been submitted so far."""

    def __init__(self, run: RunPaths, cluster: ClusterConfig) -> None:
        self._run = run
        self._cluster = cluster
        self._last: tuple[str, Path, int] | None = None

    def add(
        self,
        stage: str,
        function: Callable[..., Result],
        calls: Sequence[tuple[Any, ...]],
        submission: Submission | None = None,
    ) -> None:
        """Submit the next stage, one job for each of the calls."""
        name = f"wavenet-{stage}-{self._run.name}"
        asked = submission or Submission.of(self._cluster, name, num_jobs=len(calls))
        folder = fresh_folder(self._run.jobs, stage)
        if self._last is None:
            job_id = submit(asked, folder, slurm_tasks.run, [(function, *call) for call in calls])
        else:
            after, before, num_before = self._last
            jobs = [(before, num_before, function, *call) for call in calls]
            job_id = submit(asked, folder, slurm_tasks.run_after, jobs, after=after)
        self._last = job_id, folder, len(calls)
