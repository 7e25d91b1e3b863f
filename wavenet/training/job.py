"""What one process is to train, and how its attempt ended. Plain values that travel between processes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from wavenet.checkpoint.ledger import Owner
from wavenet.model.config import ModelConfig
from wavenet.run_paths import RunPaths
from wavenet.training.config import TrainingConfig
from wavenet.world import World


@dataclass(frozen=True)
class LostAttempt:
    """An attempt that wrote no end, and what its successor found out about it."""

    attempt: int
    cause: str
    detail: str


@dataclass(frozen=True)
class Launch:
    """What came before a training process had anything to do.

    ``queue_seconds`` is how long it waited in a scheduler's queue, None outside of one; ``began`` a reading of this
    process's monotonic clock when its job or itself began, None where nobody knows. ``excluded`` are hosts that the run
    stays away from, for their faults.
    """

    queue_seconds: float | None = None
    began: float | None = None
    excluded: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrainingJob:
    """One process's part of one attempt at a run.

    ``rendezvous`` and ``address`` matter for several processes only; see `process_group.joined`. ``accept`` names the
    parts of the identity that may differ from those the run began with. ``lost`` is the attempt before this one, if it
    wrote no end, and ``used_seconds`` what all attempts before this one took.
    """

    run: RunPaths
    data: Path
    model: ModelConfig
    training: TrainingConfig
    seed: int
    owner: Owner
    world: World = World()
    rendezvous: Path | None = None
    address: str = "127.0.0.1"
    accept: tuple[str, ...] = ()
    lost: LostAttempt | None = None
    launch: Launch = Launch()
    used_seconds: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended: ``cause`` is ``finished`` or one of `stopping.CAUSES`, ``step`` the last one committed."""

    is_finished: bool
    cause: str
    step: int
