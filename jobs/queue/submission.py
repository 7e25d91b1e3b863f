"""What is asked of the scheduler: shown by a dry run, handed to Slurm by a real one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from jobs.cluster import MOST_PARALLEL, ClusterConfig, Executor, parameters
from jobs.container import Container, ContainerConfig, container_of
from jobs.container_check import check, make_mount_points
from jobs.environment import has_slurm, num_cores
from jobs.folders import shown
from jobs.queue import scheduler, submitted
from jobs.queue.batch import Restarts, launcher, with_decisions
from jobs.queue.patience import Patience, TooManyError
from jobs.terminal import plural
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
    restarts: Restarts = Restarts()
    array_size: int = 0
    """Tasks of one array; 0: as many as the cluster takes."""
    patience: Patience = Patience(0.0)
    container: ContainerConfig = field(default_factory=ContainerConfig)
    has_gpus: bool = False

    @classmethod
    def of(
        cls,
        cluster: ClusterConfig,
        name: str,
        *,
        num_jobs: int | None = 1,
        num_tasks: int = 1,
        threads: int = 1,
        nodes: int = 1,
        most_idle: int | None = None,
    ) -> Submission:
        """What ``cluster`` asks for a job of ``num_tasks`` processes with ``threads`` threads each."""
        asked = parameters(cluster, name, num_tasks, threads, nodes)
        parallel = max_parallel(cluster) if num_jobs is None else min(num_jobs, max_parallel(cluster))
        idle = cluster.array_attempts - 1 if most_idle is None else most_idle
        restarts = Restarts(idle, cluster.restart_pause_seconds, cluster.exclude_most)
        patience = Patience(60 * cluster.submit_minutes)
        return cls(
            name,
            cluster.executor,
            asked,
            num_jobs,
            parallel,
            restarts,
            cluster.array_size,
            patience,
            cluster.container,
            cluster.asks_for_gpus,
        )


def max_parallel(cluster: ClusterConfig) -> int:
    """Array tasks alive at once."""
    if cluster.max_parallel:
        return cluster.max_parallel
    return num_cores() if cluster.executor is Executor.local else MOST_PARALLEL


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
    sees: Sequence[Path] = (),
) -> str:
    """Submit one job for each tuple of arguments, as an array where there are several, and print the id.

    Tasks that are too many for one array become several that share what may run at once: together they never run more
    than one would. Where there are more arrays than that, each of the rest waits for one before it.

    Args:
        folder: new, in the ``jobs/`` of a run or data folder, which records the job.
        after: id of a job that has to be over first, however it ended.
        sees: what the tasks need of this machine beside the paths in their arguments.

    Returns:
        The id of the job, or those of the arrays that nothing else waits for, with colons between them.

    Raises:
        UsageError: this machine has no Slurm.
        StageFailedError: Slurm refused, with its own words.
    """
    require_slurm()
    container = None
    if submission.container.image:
        container = container_of(submission.container, [*arguments, sees], folder, has_gpus=submission.has_gpus)
        (check if submission.container.check else make_mount_points)(container)
    most = submission.array_size or scheduler.array_size()
    num_arrays = -(-len(arguments) // most)
    size = -(-len(arguments) // num_arrays)
    shares = _shares(submission.parallel, num_arrays)
    last = [after] * len(shares)
    rest, number = list(arguments), 0
    while rest:
        lane = number % len(shares)
        try:
            throttled = replace(submission, parallel=shares[lane])
            executor = _executor(throttled, folder, last[lane], container, is_array=len(arguments) > 1)
            jobs = executor.map_array(function, *zip(*rest[:size], strict=True))
        except TooManyError:
            size = (min(size, len(rest)) + 1) // 2
            continue
        except (StageFailedError, KeyboardInterrupt):
            if num_before := len(arguments) - len(rest):
                print(f"{num_before} of {len(arguments)} tasks were submitted before and stay in the queue")
            raise
        rest, number = rest[size:], number + 1
        last[lane] = job_id = str(jobs[0].job_id).partition("_")[0]
        submitted.add(folder.parent, job_id, submission.name)
        tasks = f" with {plural(len(jobs), 'task')}" if len(arguments) > 1 else ""
        print(f"submitted {submission.name} as job {job_id}{tasks}; logs in {shown(folder)}", flush=True)
    return ":".join(job_id for job_id in last if job_id)


def _shares(parallel: int, num_arrays: int) -> list[int]:
    """How many tasks of each of several arrays may run at once, together ``parallel``."""
    lanes = min(parallel, num_arrays)
    return [parallel // lanes + (lane < parallel % lanes) for lane in range(lanes)]


def _executor(submission: Submission, folder: Path, after: str, container: Container | None, *, is_array: bool) -> Any:
    from jobs.queue.executor import PatientExecutor

    executor = PatientExecutor(folder, launcher(folder, container), submission.patience, is_array=is_array)
    throttled = {**submission.parameters, "array_parallelism": submission.parallel}
    asked = with_decisions(throttled, folder, submission.restarts)
    executor.update_parameters(**asked, **({"dependency": f"afterany:{after}"} if after else {}))
    return executor


def require_slurm() -> None:
    """Raise `UsageError` where there is nothing to submit with."""
    if not has_slurm():
        raise UsageError("cluster=slurm needs Slurm's sbatch, which is not on this machine's PATH; use cluster=local")
