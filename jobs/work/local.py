"""A job on this machine: one or several equal processes under submitit's local executor."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from submitit import LocalExecutor
from submitit.core.utils import FailedJobError

from jobs.cluster import ClusterConfig, local_parameters
from jobs.environment import quiet_submitit
from jobs.processes import children
from jobs.results import Failed, Killed, Result
from jobs.signals import ignored_interrupts
from wavenet import durable


def fresh_folder(parent: Path, name: str) -> Path:
    """A new folder for one job's files.

    submitit names them after the process, and a number that comes again would find the results of an older job.
    """
    durable.make_folder(parent)
    stamp = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    for suffix in ("", *(f"-{again}" for again in range(2, 1000))):
        folder = parent / f"{name}-{stamp}{suffix}"
        with contextlib.suppress(FileExistsError), durable.storage_errors(folder):
            folder.mkdir()
            return folder
    raise FileExistsError(f"a thousand jobs named {name} in one second")


class LocalJob:
    """A job that has been started."""

    def __init__(self, job: Any, folder: Path, num_tasks: int) -> None:
        self._job = job
        self.folder = folder
        self.num_tasks = num_tasks

    @property
    def log(self) -> Path:
        """What the first process printed."""
        return Path(self._job.task(0).paths.stdout)

    @property
    def error_log(self) -> Path:
        """Its tracebacks, and submitit's words."""
        return Path(self._job.task(0).paths.stderr)

    def is_over(self) -> bool:
        """Whether all its processes have ended."""
        return bool(self._job.done())

    def pids(self) -> list[int]:
        """Its processes that still run."""
        return children(int(self._job.job_id))

    def send(self, number: signal.Signals) -> None:
        """Send a signal to its processes."""
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def result(self) -> Result:
        """How its first process ended; to be asked when it is over."""
        task = self._job.task(0)
        if not task.paths.result_pickle.exists():
            return Killed()
        try:
            result: Result = task.result()
        except FailedJobError as error:  # before or after our own code: a pickle of another version, a full disk
            return Failed(str(error).strip().splitlines()[-1], is_final=False)
        return result

    def tidy(self) -> None:
        """Remove submitit's pickles and keep the logs."""
        for pickle in self.folder.glob(f"{self._job.job_id}_*.pkl"):
            pickle.unlink(missing_ok=True)

    def wait(self, seconds: float = 0.1) -> None:
        """Let it work for a moment."""
        time.sleep(seconds)


def start(
    folder: Path, cluster: ClusterConfig, num_tasks: int, function: Callable[..., Result], *arguments: Any
) -> LocalJob:
    """Start ``num_tasks`` processes that each call ``function(*arguments)``, out of reach of the terminal's Ctrl-C."""
    quiet_submitit()
    executor = LocalExecutor(folder)
    executor.update_parameters(**local_parameters(cluster, num_tasks))
    with ignored_interrupts():
        job = executor.submit(function, *arguments)
    return LocalJob(job, folder, num_tasks)
