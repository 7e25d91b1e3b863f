"""``wavenet logs``: what a run prints, attempt after attempt, until it is over."""

from __future__ import annotations

import enum
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from jobs import progress_lines
from jobs.folders import DEFAULT_ROOT, absolute, run_paths, shown
from jobs.progress import liveness
from jobs.progress.log_files import LogFile, list_logs, present
from jobs.progress.stage_progress import STAGES
from jobs.queue import submitted
from jobs.queue.scheduler import QueuedJob
from jobs.terminal import Display, Follower, fraction
from wavenet.errors import InputError, UsageError
from wavenet.settings import key

_POLL_SECONDS = 0.5
_ASK_SECONDS = 5.0  # between questions to squeue

Stage = enum.Enum("Stage", {name: name for name in ("newest", *STAGES)})  # type: ignore[misc]  # names of a table


@dataclass(frozen=True, kw_only=True)
class LogsKeys:
    """Keys of ``wavenet logs``."""

    run: str = key("", "the run's name below root, or its path; for example run=first")
    root: str = key(DEFAULT_ROOT, "folder of the runs that are given by name")
    data: str = key("data", "folder of shards, whose preparation is told where no run is named")
    stage: Stage = key(Stage["newest"], "whose log; newest: that of the stage that wrote last, and those after it")
    task: str = key("", "of an array: one task, by its number in the job's id, such as 3 of 12_3; empty: all")
    rank: int = key(0, "which process of a training on several")
    lines: int = key(0, "only so many of the lines that are there already; 0: all")
    follow: bool = key(True, "go on with what is added, over to the next attempt, until the run is over or Ctrl-C")

    def __post_init__(self) -> None:
        for name in ("rank", "lines"):
            if getattr(self, name) < 0:
                raise UsageError(f"{name} must be at least 0, got {getattr(self, name)}")


def logs(keys: LogsKeys) -> None:
    """Print the logs of the present attempt, and follow."""
    reader = _Reader(keys, _place(keys), Display())
    reader.begin()
    if not keys.follow:
        return
    try:
        reader.follow()
    except KeyboardInterrupt:
        reader.display.end()


def _place(keys: LogsKeys) -> liveness.Place:
    """Where the jobs are; of a run whose data were prepared on their own, that preparation is the folder of shards'."""
    if not keys.run:
        data = absolute(keys.data)
        if not (data / "jobs").is_dir():
            raise InputError(f"nothing was started in the data folder {shown(data)!r}; name a run with run=")
        return liveness.Place(data / "jobs", data.name, None)
    run = run_paths(keys.run, keys.root)
    if not run.root.is_dir():
        at = shown(run.root)
        raise InputError(f"there is no run at {at!r}; `wavenet status` lists the runs below {keys.root}")
    own = liveness.Place(run.jobs, run.name, run)
    data = absolute(keys.data)
    is_of_data = keys.stage.name in ("prepare", "index") and not list_logs(run.jobs, keys.stage.name)
    return liveness.Place(data / "jobs", data.name, None) if is_of_data else own


@dataclass
class _Reader:
    """What has been read so far, and from where."""

    keys: LogsKeys
    place: liveness.Place
    display: Display
    followers: dict[Path, Follower] = field(default_factory=dict)
    last: Path | None = None
    told: str = ""

    def begin(self) -> None:
        """Print what the present attempts have written.

        Raises:
            InputError: there is no such log, and none to come.
        """
        logs = self._wanted()
        shown_first = {log.path for log in present(logs)}
        for log in logs:
            follower = self.followers.setdefault(log.path, Follower(log.path))
            if log.path in shown_first:
                self._print(log, _without_progress(follower.lines())[-self.keys.lines :], is_first=True)
            else:
                follower.skip()
        if not shown_first:
            self._require_hope(logs)

    def follow(self) -> None:
        """Print what is added, to these logs and to new ones, until nothing is at work any more."""
        asked, jobs = -1e9, None
        while True:
            if time.monotonic() - asked >= _ASK_SECONDS or not submitted.names_in(self.place.jobs):
                asked, jobs = time.monotonic(), self._jobs()
                self._tell(jobs)
            is_over = liveness.is_over(self.place, jobs, self._wanted())
            self._read()
            if is_over:
                self.display.end()
                return
            time.sleep(_POLL_SECONDS)

    def _read(self) -> None:
        for log in self._wanted():
            lines = self.followers.setdefault(log.path, Follower(log.path)).lines()
            self._print(log, lines)

    def _print(self, log: LogFile, lines: Iterable[str], *, is_first: bool = False) -> None:
        """Lines of progress come often, and change in place on a terminal; the last one that is there stays."""
        for line in lines:
            if progress := progress_lines.read(line):
                words = f"{log.stage} {log.job}: {fraction(*progress)}"
                if is_first:
                    self.display.line(words)
                else:
                    self.display.show(words)
                continue
            if log.path != self.last:
                self.display.line(f"==> {shown(log.path)} <==")
                self.last = log.path
            self.display.line(line)

    def _wanted(self) -> list[LogFile]:
        """All logs of the stage, task and rank that were asked for."""
        stage = None if self.keys.stage.name == "newest" else self.keys.stage.name
        logs = [log for log in list_logs(self.place.jobs, stage) if log.rank == self.keys.rank]
        return [log for log in logs if log.is_of_task(self.keys.task)] if self.keys.task else logs

    def _jobs(self) -> list[QueuedJob] | None:
        jobs = submitted.in_queue_of(self.place.jobs)
        name = self.keys.stage.name
        return jobs if jobs is None or name == "newest" else [job for job in jobs if f"-{name}-" in job.name]

    def _require_hope(self, logs: list[LogFile]) -> None:
        jobs = self._jobs()
        if not liveness.is_over(self.place, jobs, logs):
            self._tell(jobs, is_first=True)
            return
        raise InputError(self._nothing())

    def _nothing(self) -> str:
        """Why there is no log, and what there is."""
        everything = list_logs(self.place.jobs)
        wanted = [f"{name}={getattr(self.keys, name)}" for name in ("task", "rank") if getattr(self.keys, name)]
        wanted = [f"stage={self.keys.stage.name}", *wanted]
        there = sorted({log.stage for log in everything})
        stages = f"there are logs of: {', '.join(there)}" if there else "nothing has been started yet"
        chosen = [log for log in everything if self.keys.stage.name in ("newest", log.stage)]
        if there and chosen:
            tasks = sorted({log.job for log in chosen})
            ranks = sorted({log.rank for log in chosen})
            stages = f"there are tasks {', '.join(tasks[:20])} and ranks {', '.join(map(str, ranks))}"
        return f"{self.place.name!r} has no log of {', '.join(wanted)}; {stages}"

    def _tell(self, jobs: list[QueuedJob] | None, *, is_first: bool = False) -> None:
        """Say why nothing is printed, when that changes."""
        words = "squeue gives no answer; ends with Ctrl-C" if jobs is None else _waiting(jobs, is_first=is_first)
        if words and words != self.told:
            self.display.line(f"{words}; no log yet" if is_first else words)
        self.told = words


def _waiting(jobs: list[QueuedJob], *, is_first: bool) -> str:
    """What waits in the queue, if nothing runs; between two stages each job waits for another for a moment."""
    if not all(job.state == "PENDING" for job in jobs):
        return ""
    first = [job for job in jobs if job.reason != "Dependency"]
    return submitted.in_words(first or jobs if is_first else first)


def _without_progress(lines: list[str]) -> list[str]:
    """Of the lines of progress only the last, if nothing came after it."""
    kept = [line for line in lines[:-1] if progress_lines.read(line) is None]
    return kept + lines[-1:]
