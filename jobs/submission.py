"""What is asked of the scheduler: shown by a dry run, handed to Slurm by a real one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs import submitted
from jobs.batch import launcher, with_decisions
from jobs.cluster import ClusterConfig, Executor, parameters
from jobs.environment import has_slurm, num_cores
from jobs.folders import shown
from wavenet.errors import StageFailedError, UsageError


@dataclass(frozen=True)
class Submission:
    """One job, or an array of ``num_jobs`` of them of which ``parallel`` run at once."""

    name: str
    executor: Executor
    parameters: dict[str, Any]
    num_jobs: int | None = 1
    """None: known only when the stage before it is done."""
    parallel: int = 1
    most_idle: int = 0
    """Restarts in a row without progress before a job is given up."""

    @classmethod
    def of(
        cls,
        cluster: ClusterConfig,
        name: str,
        *,
        num_jobs: int | None = 1,
        num_tasks: int = 1,
        threads: int = 1,
        most_idle: int | None = None,
    ) -> Submission:
        """What ``cluster`` asks for a job of ``num_tasks`` processes with ``threads`` threads each."""
        asked = parameters(cluster, name, num_tasks, threads)
        parallel = max_parallel(cluster) if num_jobs is None else min(num_jobs, max_parallel(cluster))
        idle = cluster.array_attempts - 1 if most_idle is None else most_idle
        return cls(name, cluster.executor, asked, num_jobs, parallel, idle)


def max_parallel(cluster: ClusterConfig) -> int:
    """Array tasks alive at once."""
    if cluster.max_parallel:
        return cluster.max_parallel
    return num_cores() if cluster.executor is Executor.local else 256


def print_plan(submissions: Sequence[Submission]) -> None:
    """Print what would be submitted."""
    print("dry run: nothing is submitted")
    for one in submissions:
        count = "as many as the plan says" if one.num_jobs is None else one.num_jobs
        noun = "job" if one.num_jobs == 1 else f"array tasks, at most {one.parallel} at once"
        print(f"{one.name}: {count} {noun} on cluster={one.executor.name}")
        for name, value in one.parameters.items():
            print(f"    {name} = {value}")


def submit(
    submission: Submission,
    folder: Path,
    function: Callable[..., Any],
    arguments: Sequence[tuple[Any, ...]],
    *,
    after: str = "",
) -> str:
    """Submit one job for each tuple of arguments, as one array where there are several, and print the id.

    Args:
        folder: new, in the ``jobs/`` of a run or data folder, which records the job.
        after: id of a job that has to be over first, however it ended.

    Returns:
        The id of the job or array.

    Raises:
        UsageError: this machine has no Slurm.
        StageFailedError: Slurm refused, with its own words.
    """
    require_slurm()
    from submitit import SlurmExecutor
    from submitit.core.utils import FailedJobError

    executor = SlurmExecutor(folder, python=launcher(folder))
    asked = with_decisions(submission.parameters, folder, submission.most_idle)
    executor.update_parameters(**asked, **({"dependency": f"afterany:{after}"} if after else {}))
    try:
        jobs = executor.map_array(function, *zip(*arguments, strict=True))
    except FailedJobError as error:
        reason = str(error).strip().splitlines()[-1]
        raise StageFailedError(f"Slurm did not take {submission.name}: {reason}") from error
    job_id = str(jobs[0].job_id).partition("_")[0]
    submitted.add(folder.parent, job_id, submission.name)
    tasks = f" with {len(jobs)} tasks" if len(jobs) > 1 else ""
    print(f"submitted {submission.name} as job {job_id}{tasks}; logs in {shown(folder)}", flush=True)
    return job_id


def require_slurm() -> None:
    """Raise `UsageError` where there is nothing to submit with."""
    if not has_slurm():
        raise UsageError("cluster=slurm needs Slurm's sbatch, which is not on this machine's PATH; use cluster=local")
