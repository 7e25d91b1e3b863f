"""Hand a batch script to Slurm, and wait where it takes none now: nothing is submitted twice, nothing is lost."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from jobs.queue import scheduler
from jobs.queue.refusals import Answer, Refusal, read_refusal
from jobs.terminal import Display, duration
from wavenet.errors import StageFailedError

_FIRST_PAUSE_SECONDS = 2.0
_LONGEST_PAUSE_SECONDS = 60.0


class TooManyError(Exception):
    """An array that a limit refuses although nothing else is in the queue: only a smaller one can be taken."""


@dataclass(frozen=True)
class Request:
    """One batch script to be submitted.

    Args:
        name: of the job, for a person.
        comment: of the job; ``mark`` is the part of it that no other submission has.
        can_be_smaller: whether less of it could be submitted at a time.
    """

    name: str
    script: Path
    comment: str
    mark: str
    can_be_smaller: bool


@dataclass(frozen=True)
class Patience:
    """How long to wait, and what time is."""

    seconds: float
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


def hand_in(request: Request, patience: Patience) -> str:
    """Submit and return the job's id.

    Raises:
        StageFailedError: refused for good, or for as long as ``patience`` lasts.
        TooManyError: the array is larger than a limit.
        KeyboardInterrupt: the user waits no longer; nothing of it stays in the queue.
    """
    display = Display()
    try:
        return _until_taken(request, patience, display)
    except KeyboardInterrupt:
        if not _withdraw(request):
            display.line(f"squeue does not say whether Slurm has taken {request.name}; {_to_be_cancelled(request)}")
        raise
    finally:
        display.end()


def _until_taken(request: Request, patience: Patience, display: Display) -> str:
    pause, is_unsure = _FIRST_PAUSE_SECONDS, False
    end = patience.clock() + patience.seconds
    while isinstance(answer := _try(request, is_unsure=is_unsure), Answer):
        is_unsure = is_unsure or answer.refusal is Refusal.unsure
        left = end - patience.clock()
        _require_hope(request, answer, left, patience)
        said = f"waiting for Slurm to take {request.name} ({answer.reason})"
        display.show(f"{said}, {duration(left)} left; Ctrl-C ends it")
        patience.sleep(min(pause, left))
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
    if is_unsure:  # a slow controller may have taken an earlier try after it was looked for
        _withdraw(request, but=answer)
    return answer


def _try(request: Request, *, is_unsure: bool) -> str | Answer:
    """Submit, unless an earlier try may have been taken: then look for that first."""
    if is_unsure:
        found = scheduler.with_comment(request.mark)
        if found is None:
            return Answer(Refusal.unsure, "squeue gives no answer")
        if found:
            return found[0]
    job_id, complaint = scheduler.submit(request.script, request.comment)
    return read_refusal(complaint) if job_id is None else job_id


def _require_hope(request: Request, answer: Answer, left: float, patience: Patience) -> None:
    """Raise where waiting on would change nothing."""
    name, reason = request.name, answer.reason
    if answer.refusal is Refusal.final:
        raise StageFailedError(f"Slurm does not take {name}: {reason}; what was asked for is set by {answer.keys}")
    if answer.refusal is Refusal.limit and request.can_be_smaller and not scheduler.has_own_jobs():
        raise TooManyError(reason)
    if left > 0:
        return
    remedy = {
        Refusal.limit: "start it again when fewer of your jobs are in the queue, or set cluster.submit_minutes higher",
        Refusal.away: "start it again when `sinfo` gives an answer",
        Refusal.unsure: _to_be_cancelled(request),
    }[answer.refusal]
    raise StageFailedError(f"Slurm has not taken {name} in {duration(patience.seconds)}: {reason}; {remedy}")


def _withdraw(request: Request, but: str = "") -> bool:
    """Cancel what is in the queue of this request, except the job ``but``; False where there is no answer."""
    found = scheduler.with_comment(request.mark)
    if others := [job_id for job_id in found or [] if job_id != but]:
        scheduler.cancel(others)
    return found is not None


def _to_be_cancelled(request: Request) -> str:
    """Its files are gone: it would only fail."""
    return f"if it is in the queue after all, cancel it: `squeue --format='%i %k' | grep {request.mark}`"
