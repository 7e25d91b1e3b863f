"""An array of tasks on this machine: so many at a time, each started again a few times, all others finish."""

from __future__ import annotations

import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs import progress_lines
from jobs.cluster import ClusterConfig
from jobs.folders import shown
from jobs.queue.submission import max_parallel
from jobs.results import Done, Failed, Killed, Result
from jobs.signals import Interrupts, counted_interrupts
from jobs.terminal import Display, Follower, expected, plural
from jobs.work import tasks
from jobs.work.local import LocalJob, fresh_folder, start
from wavenet.errors import StageFailedError

_POLL_SECONDS = 0.1
_GRACE_SECONDS = 5.0
_NAMED_FAILURES = 5


@dataclass(frozen=True)
class ArrayTask:
    """``function(*arguments, progress)``, to be run in a process of its own; it makes ``size`` things."""

    name: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    size: int = 1


@dataclass
class _Running:
    task: ArrayTask
    attempt: int
    job: LocalJob
    follower: Follower


def run_array(
    name: str, work: Sequence[ArrayTask], parent: Path, cluster: ClusterConfig, display: Display, *, noun: str = "task"
) -> list[Any]:
    """Run all tasks and return their values in order.

    Args:
        name: of the stage, for folder and progress.
        parent: gets a folder with a log for each start of a task.
        noun: for what the tasks make.

    Raises:
        StageFailedError: tasks failed for good; the others have finished.
        KeyboardInterrupt: the user stopped it; tasks that had finished are kept.
    """
    if not work:
        return []
    array = _Array(name, work, fresh_folder(parent, name), cluster, display, noun=noun)
    with counted_interrupts() as interrupts:
        array.run(interrupts)
    if array.failures:
        named = "; ".join(f"{task}: {reason}" for task, reason in list(array.failures.items())[:_NAMED_FAILURES])
        more = "; ..." if len(array.failures) > _NAMED_FAILURES else ""
        raise StageFailedError(
            f"{len(array.failures)} of {len(work)} tasks of {name} failed for good, the others are done: {named}{more} "
            f"(logs in {shown(array.folder)})"
        )
    return [array.values[task.name] for task in work]


class _Array:
    """The state of one array while it runs."""

    def __init__(
        self, name: str, work: Sequence[ArrayTask], folder: Path, cluster: ClusterConfig, display: Display, *, noun: str
    ) -> None:
        self.folder = folder
        self.values: dict[str, Any] = {}
        self.failures: dict[str, str] = {}
        self._name = name
        self._noun = noun
        self._sizes = {task.name: task.size for task in work}
        self._started = time.monotonic()
        self._waiting = deque((task, 1) for task in work)
        self._running: list[_Running] = []
        self._shares: dict[str, float] = {}
        self._cluster = cluster
        self._display = display

    def run(self, interrupts: Interrupts) -> None:
        self._display.begin()
        while self._waiting or self._running:
            while self._waiting and len(self._running) < max_parallel(self._cluster):
                self._start(*self._waiting.popleft())
            for running in list(self._running):
                self._look_at(running)
            self._show()
            if interrupts.count:
                self._stop(interrupts)
                raise KeyboardInterrupt
            time.sleep(_POLL_SECONDS)
        self._show(is_last=True)
        self._display.end()

    def _start(self, task: ArrayTask, attempt: int) -> None:
        job = start(self.folder, self._cluster, 1, tasks.work, task.function, *task.arguments)
        self._running.append(_Running(task, attempt, job, Follower(job.log)))

    def _look_at(self, running: _Running) -> None:
        is_over = running.job.is_over()
        for line in running.follower.lines():
            self._read(running.task, line)
        if is_over:
            self._running.remove(running)
            self._judge(running, running.job.result())
            running.job.tidy()

    def _read(self, task: ArrayTask, line: str) -> None:
        progress = progress_lines.read(line)
        if progress is None:
            self._display.line(line)
        else:
            done, total = progress
            self._shares[task.name] = done / max(1, total)

    def _judge(self, running: _Running, result: Result) -> None:
        task = running.task
        match result:
            case Done(value=value):
                self.values[task.name] = value
                self._shares[task.name] = 1.0
            case Failed(message=message, is_final=is_final):
                self._retry(running, message, may_help=not is_final)
            case Killed(message=message):
                self._retry(running, message, may_help=True)

    def _retry(self, running: _Running, message: str, *, may_help: bool) -> None:
        self._shares.pop(running.task.name, None)
        if may_help and running.attempt < self._cluster.array_attempts:
            self._display.line(f"{running.task.name}: {message}; starting it again")
            self._waiting.append((running.task, running.attempt + 1))
        else:
            self._display.line(f"{running.task.name} failed: {message}")
            self.failures[running.task.name] = message

    def _show(self, *, is_last: bool = False) -> None:
        total = sum(self._sizes.values())
        share = sum(share * self._sizes[name] for name, share in self._shares.items()) / total
        counts = [f"{self._count(self.values)} of {plural(total, self._noun)} done"]
        if running := self._count(running.task.name for running in self._running):
            counts.append(f"{running} running")
        if failed := self._count(self.failures):
            counts.append(f"{failed} failed")
        if left := expected(time.monotonic() - self._started, share):
            counts.append(left)
        self._display.show(f"{self._name}: {100 * share:.0f} %, {', '.join(counts)}", is_last=is_last)

    def _count(self, names: Iterable[str]) -> int:
        """Of what tasks make."""
        return sum(self._sizes[name] for name in names)

    def _stop(self, interrupts: Interrupts) -> None:
        self._display.line(f"stopping {self._name}")
        end = time.monotonic() + _GRACE_SECONDS
        while any(not running.job.is_over() for running in self._running):
            is_late = time.monotonic() > end or interrupts.count > 1
            for running in self._running:
                running.job.send(signal.SIGKILL if is_late else signal.SIGTERM)
            time.sleep(_POLL_SECONDS)
