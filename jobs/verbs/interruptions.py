"""What an ordinary user can do to a training of his own, on this machine or on Slurm, to see how it comes back."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone

from jobs.attempts import Attempt, read_attempts
from jobs.processes import children, started_tick
from jobs.queue import scheduler, submitted
from jobs.queue.slurm_times import seconds_of
from jobs.terminal import Display
from jobs.verbs.costs import Blow
from wavenet.checkpoint.store import list_committed
from wavenet.errors import StageFailedError
from wavenet.run_paths import RunPaths

_STEPS = 25  # one checkpoint of the drill's, and some steps that are not in it
_COMMIT_SECONDS = 20.0
_LOOK_SECONDS = 40.0  # Slurm looks twice a minute whether a time limit is near
_LEAVE_SECONDS = 60.0  # from the end of the program to that of its job
_MINUTES_LEFT = 2  # the earliest warning comes 120 s before the end


@dataclass
class Target:
    """The run that is interrupted, and what has been done to it."""

    run: RunPaths
    display: Display
    poll_seconds: float
    is_over: threading.Event = field(default_factory=threading.Event)
    """Nothing more will come of it."""
    blows: list[Blow] = field(default_factory=list)
    hit: int = 0
    """The newest attempt that was interrupted."""
    pids: set[int] = field(default_factory=set)
    """Processes of this machine that were sent a signal."""

    def wait(self, answer: Callable[[], object]) -> bool:
        """Until the answer is a true one; False if the run was over before."""
        while not answer():
            if self.is_over.wait(self.poll_seconds):
                return False
        return True

    def training(self, num_steps: int = 1) -> Attempt | None:
        """Wait for an attempt that nothing has happened to, until it has made so many steps."""
        found: list[Attempt] = []

        def trains() -> bool:
            newest = read_attempts(self.run)[-1:]
            found.extend(one for one in newest if one.attempt > self.hit and one.step >= one.resumed_step + num_steps)
            return bool(found)

        return found[0] if self.wait(trains) else None

    def struck(self, name: str, attempt: int | None, then: datetime | None = None) -> None:
        """Note a blow that has fallen."""
        self.blows.append(Blow(name, then or now(), attempt))
        self.hit = attempt or self.hit


@dataclass(frozen=True)
class Interruption:
    """One thing to happen. ``strike`` gives back why it cannot be done here, None where it was done or came too late.

    ``most_lost`` counts intervals between checkpoints.
    """

    name: str
    strike: Callable[[Target, str], str | None]
    most_lost: int = 0


def now() -> datetime:
    """With its offset."""
    return datetime.now(timezone.utc)


def interrupt(target: Target, interruptions: Sequence[Interruption]) -> dict[str, str]:
    """Let one thing after another happen to a run that is training; those that cannot be done, with the reason."""
    refused = {}
    for number, one in enumerate(interruptions, 1):
        target.display.line(f"drill: {number} of {len(interruptions)}, {one.name}")
        if (reason := one.strike(target, one.name)) is not None:
            refused[one.name] = reason
        if target.is_over.is_set():
            break
    done = {*refused, *(blow.name for blow in target.blows)}
    return refused | {one.name: "the run was over before" for one in interruptions if one.name not in done}


def here() -> Sequence[Interruption]:
    """On this machine, where the processes are children of this one."""
    term, kill = signal.SIGTERM, signal.SIGKILL
    return (
        Interruption("SIGKILL during start-up", _kill_at_start, 1),
        Interruption("SIGTERM", _signals(term)),
        Interruption("SIGUSR1", _signals(signal.SIGUSR1)),
        Interruption("SIGTERM, twice", _signals(term, term)),
        Interruption("SIGKILL", _signals(kill), 1),
        Interruption("SIGKILL during a commit", _kill_in_commit, 1),
        Interruption("newest checkpoint cut short", _cut_newest_short, 2),
    )


def _processes() -> list[int]:
    """Of the training: started by submitit's local controller, which is started by this process."""
    return [pid for controller in children(os.getpid()) for pid in children(controller)]


def _send(target: Target, *numbers: signal.Signals) -> None:
    for pid in _processes():
        target.pids.add(pid)
        for number in numbers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


def _signals(*numbers: signal.Signals) -> Callable[[Target, str], str | None]:
    def strike(target: Target, name: str) -> None:
        if attempt := target.training(_STEPS):
            target.struck(name, attempt.attempt)
            _send(target, *numbers)

    return strike


def _kill_at_start(target: Target, name: str) -> None:
    """In the middle of importing torch."""
    if target.wait(lambda: set(_processes()) - target.pids):
        time.sleep(0.5)
        target.struck(name, None)
        _send(target, signal.SIGKILL)


def _kill_in_commit(target: Target, name: str) -> None:
    """While the checkpoint lies there under the name of its attempt."""
    attempt = target.training()
    if attempt is None:
        return
    deadline = time.monotonic() + _COMMIT_SECONDS
    while not any(target.run.checkpoints.glob("step-*.attempt-*")) and time.monotonic() < deadline:
        time.sleep(0.0005)
    target.struck(name, attempt.attempt)
    _send(target, signal.SIGKILL)


def _cut_newest_short(target: Target, name: str) -> None:
    """What a full disk or a careless copy leaves; the next attempt finds it."""
    attempt = target.training(2 * _STEPS)
    if attempt is None:
        return
    pids = _processes()
    target.struck(name, attempt.attempt)
    _send(target, signal.SIGKILL)
    target.wait(lambda: all(started_tick(pid) is None for pid in pids))
    newest = list_committed(target.run)[-1].path
    largest = max(newest.iterdir(), key=lambda path: path.stat().st_size)
    os.truncate(largest, largest.stat().st_size // 2)


def on_slurm() -> Sequence[Interruption]:
    """What the owner of a job may do to it; the time limit comes last, since only an administrator can raise it."""
    return (
        Interruption("scontrol requeue", _asked(scheduler.requeue)),
        *(
            Interruption(f"scancel --signal={name}", _asked(_signalled(name)), int(name == "KILL"))
            for name in ("USR1", "TERM", "KILL")
        ),
        Interruption("time limit shorter than the run", _limit),
    )


def _signalled(name: str) -> Callable[[str], str | None]:
    return lambda job_id: scheduler.signal_steps(_program_of(job_id), name)


def _program_of(job_id: str) -> str:
    """The first step: what srun has started. Slurm takes a KILL for the whole job as its cancellation."""
    return f"{job_id}.0"


def _asked(ask: Callable[[str], str | None]) -> Callable[[Target, str], str | None]:
    """Of Slurm, which may refuse."""

    def strike(target: Target, name: str) -> str | None:
        attempt = target.training(_STEPS)
        if attempt is None or attempt.job_id is None:
            return None
        then = now()
        if (refusal := ask(attempt.job_id)) is None:
            target.struck(name, attempt.attempt, then)
        return refusal

    return strike


def _limit(target: Target, name: str) -> str | None:
    """The process stands still until Slurm has looked, or a run as short as this one would be over before."""
    attempt = target.training()
    if attempt is None or attempt.job_id is None:
        return None
    job_id = attempt.job_id
    if (refusal := scheduler.signal_steps(_program_of(job_id), "STOP")) is not None:
        return refusal
    try:
        used = seconds_of(scheduler.facts_of(job_id).get("RunTime", "")) or 0
        if (refusal := scheduler.limit(job_id, int(used // 60) + _MINUTES_LEFT)) is not None:
            return refusal
        _wait_until_told(target, attempt.attempt)
        target.struck(name, attempt.attempt)
    finally:
        scheduler.signal_steps(_program_of(job_id), "CONT")
    return None


def _wait_until_told(target: Target, number: int) -> None:
    """Some versions of Slurm set a process going that stands still when they tell it something, others do not."""
    deadline = time.monotonic() + _LOOK_SECONDS

    def has_heard() -> bool:
        newest = read_attempts(target.run)[-1]
        return newest.attempt > number or bool(newest.told or newest.cause) or time.monotonic() > deadline

    target.wait(has_heard)


def watch_jobs(target: Target) -> None:
    """Say when the run is over, or that nothing brings it back; return when its job has left the queue.

    Raises:
        StageFailedError: its job is gone, and the run is not finished.
    """
    said = ""
    while not target.is_over.wait(target.poll_seconds):
        jobs = submitted.in_queue(target.run)
        attempts = read_attempts(target.run)
        if attempts and attempts[-1].cause == "finished":
            target.is_over.set()
        elif jobs == []:
            why = submitted.last_decision(target.run) or "Slurm does not know it any more"
            raise StageFailedError(f"the job of the run {target.run.name!r} is gone before its end: {why}")
        elif jobs is not None and (words := submitted.in_words(jobs)) != said:
            said = words
            target.display.line(f"drill: {said}")
    deadline = time.monotonic() + _LEAVE_SECONDS
    while submitted.in_queue(target.run) != [] and time.monotonic() < deadline:
        time.sleep(target.poll_seconds)
