"""What runs inside a job: functions of this module's, pickled by name, with plain values as arguments."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from jobs import signals
from jobs.environment import Placement, cores_of_task, owner, placement
from jobs.processes import age_seconds
from jobs.progress_lines import PROGRESS_MARK
from jobs.queue.causes import GUESSES, JobStop
from jobs.queue.deadlines import Notice
from jobs.queue.launched import launch_of
from jobs.queue.lost import lost_attempt
from jobs.results import Done, Failed, caught
from jobs.work.hours import require_hours
from jobs.work.ownership import require_takeover
from wavenet.errors import InterruptedRunError
from wavenet.generation.config import Variant
from wavenet.generation.requests import ClipRequest
from wavenet.model.config import ModelConfig
from wavenet.progress import Progress
from wavenet.run_paths import RunPaths
from wavenet.training.config import TrainingConfig
from wavenet.training.hours import CAUSE as HOURS_USED
from wavenet.training.hours import used_up
from wavenet.training.job import Launch, Outcome, TrainingJob
from wavenet.training.stopping import StopRequest
from wavenet.world import World

_PROGRESS_EVERY_SECONDS = 0.5


@dataclass(frozen=True)
class TrainOrder:
    """All that an attempt at training needs to know."""

    run: RunPaths
    data: Path
    model: ModelConfig
    training: TrainingConfig
    seed: int
    accept: tuple[str, ...]
    restart_count: int
    rendezvous: Path
    takeover: bool = False
    notice: Notice = Notice()


def train(order: TrainOrder) -> Done | Failed:
    """One attempt at a run, as one of its ranks; the value is an `Outcome`."""
    place = placement()
    stop = JobStop(order.run, place, order.notice)
    # Before torch is imported, which takes seconds in which a signal would kill.
    signals.install(GUESSES, stop.hear)
    if place.job_id is not None:
        order = _of_this_start(order, place)
    return caught(lambda: _train(order, place, stop))


def _of_this_start(order: TrainOrder, place: Placement) -> TrainOrder:
    """Slurm starts the same pickle again and again; what differs is in the environment."""
    rendezvous = order.rendezvous.with_name(f"rendezvous-{place.job_id}-{place.restart_count}.json")
    return replace(order, restart_count=place.restart_count, rendezvous=rendezvous)


def _train(order: TrainOrder, place: Placement, stop: StopRequest) -> Outcome:
    from wavenet.training.loop import train as train_attempt

    if stop.cause is not None:
        raise InterruptedRunError(f"told to stop ({stop.cause}) before anything was done")
    if place.job_id is not None:
        require_takeover(order.run, place, takeover=order.takeover)
    used = require_hours(order.run, order.training.max_hours) if place.world.is_first else 0.0
    job = TrainingJob(
        run=order.run,
        data=order.data,
        model=order.model,
        training=order.training,
        seed=order.seed,
        owner=owner(place, order.restart_count),
        world=place.world,
        rendezvous=order.rendezvous,
        address=place.address,
        accept=order.accept,
        lost=lost_attempt(order.run, place) if place.world.is_first else None,
        launch=launch_of(place) if place.world.is_first else Launch(),
        used_seconds=used,
    )
    outcome = train_attempt(job, stop, announce)
    if outcome.cause == HOURS_USED:
        raise used_up(order.training.max_hours, order.run.name, outcome.step)
    return outcome


def work(function: Callable[..., Any], *arguments: Any) -> Done | Failed:
    """One array task: ``function(*arguments, progress)``."""
    signals.end_at_once()
    return caught(lambda: function(*arguments, printed_progress()))


def write_share(data: Path, world: World, progress: Progress) -> None:
    """The shards of one worker, for `work`."""
    from wavenet.shards.write import write_share as write

    write(data, world, progress)


def index(data: Path) -> Done | Failed:
    """What completes a data folder whose shards are written."""
    from wavenet.shards.index import build_index

    signals.end_at_once()
    return caught(lambda: build_index(data))


@dataclass(frozen=True)
class GenerateOrder:
    """All that a task of generation needs to know: ``requests`` are of one checkpoint."""

    run: RunPaths
    requests: Sequence[ClipRequest]
    data: Path
    threads: int
    """0: as many as the task is given cores."""
    save_seconds: float


def generate(order: GenerateOrder, progress: Progress) -> list[Path]:
    """The missing clips of an order, for `work`."""
    from wavenet.generation.clips import make_clips
    from wavenet.generation.requests import remove_leftovers
    from wavenet.generation.variants import choose

    began = time.monotonic() - age_seconds()
    if any(choose(request.variant) is Variant.torch for request in order.requests):
        from wavenet.training.determinism import settle

        # Threads would wait for each other several times a sample; on a busy machine that is fifty times slower.
        settle(threads=1)
    if placement().restart_count:
        remove_leftovers(order.run, order.requests)
    threads = order.threads or cores_of_task()
    return make_clips(
        order.run,
        order.requests,
        order.data,
        progress,
        threads=threads,
        save_seconds=order.save_seconds,
        began=began,
    )


def announce(line: str) -> None:
    """A line of the plain log. Flushed, because the launcher follows the file."""
    print(line, flush=True)


def printed_progress() -> Progress:
    """A `Progress` that prints now and then a line for the launcher to add up."""
    last = 0.0

    def progress(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if done >= total or now - last >= _PROGRESS_EVERY_SECONDS:
            last = now
            print(PROGRESS_MARK, done, total, flush=True)

    return progress
