"""What rank 0 writes down: its claim, the history of its attempt, and the checkpoints."""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from wavenet.checkpoint import state, store
from wavenet.checkpoint.ledger import Ledger
from wavenet.checkpoint.store import Committed
from wavenet.model.config import ModelConfig
from wavenet.run_paths import RunPaths
from wavenet.training.config import TrainingConfig
from wavenet.training.history import HistoryWriter
from wavenet.training.room import retention_of, room_needed
from wavenet.training.spent import summary_of
from wavenet.training.step import Optimizer, StepResult
from wavenet.training.stopwatch import Stopwatch
from wavenet.training.validation import ValidationResult

Announce = Callable[[str], None]

_STALLS_KNOWN = 8  # of which the next one is guessed
_PLANNED_SHARE = 0.005
"""Of the time, for commits by the clock: half of the 1 % that is promised, for the next may be slower than the last."""


class CheckpointClock:
    """Tells when a checkpoint is due: at chosen steps, at multiples, and when the last one is long ago.

    How long is decided by what commits cost: for ``stalls`` seconds each training stood still for them so far.
    """

    def __init__(
        self, config: TrainingConfig, now: Callable[[], float] = time.monotonic, stalls: Iterable[float] = ()
    ) -> None:
        self._config = config
        self._now = now
        self._last = now()
        self._stalls = deque(stalls, maxlen=_STALLS_KNOWN)

    @property
    def interval(self) -> float | None:
        """Seconds after a commit at which the next one is due by the clock; None where only steps decide."""
        least = self._config.checkpoint_seconds
        if not least:
            return None
        affordable = statistics.fmean(self._stalls) / _PLANNED_SHARE if self._stalls else 0.0
        return max(least, min(affordable, self._config.checkpoint_most_seconds))

    def is_due(self, step: int) -> bool:
        """Whether the state after update number ``step`` should be committed."""
        every, interval = self._config.checkpoint_every, self.interval
        is_late = interval is not None and self._now() - self._last >= interval
        return step in self._config.kept_steps or (every > 0 and step % every == 0) or is_late

    def restart(self, stall_seconds: float) -> None:
        """Count from now: a checkpoint has just been committed, for which training stood still so long."""
        self._stalls.append(stall_seconds)
        self._last = self._now()


@dataclass
class Recorder:
    """One attempt's pen: everything that it writes into the run folder goes through here.

    ``facts`` is what every checkpoint says besides its step.
    """

    run: RunPaths
    config: TrainingConfig
    ledger: Ledger
    history: HistoryWriter
    committed: list[Committed]
    facts: dict[str, Any]
    announce: Announce
    clock: CheckpointClock
    watch: Stopwatch
    validated_step: int = 0
    """The newest step of the run that has a validation."""
    stalls: list[float] = field(default_factory=list)
    """Seconds for which training stood still at each commit of the run, those of earlier attempts included."""
    slowest_commit: float | None = None
    """Seconds; None before this attempt's first commit."""

    @property
    def saved_step(self) -> int:
        """The newest committed step; 0 where there is none."""
        return self.committed[-1].step if self.committed else 0

    def require_room(self, model: ModelConfig) -> None:
        """Raise `StorageError` where the checkpoints to come would not fit, before hours are spent on them."""
        need = room_needed(model, self.config, [checkpoint.step for checkpoint in self.committed])
        if need is not None:
            store.require_room(self.run, self.ledger, need)

    def told(self, cause: str) -> None:
        """Note at once that a stop is asked for, and why as far as it is known; it is all that a kill leaves."""
        self.history.append("told", cause=cause)

    def ready(self) -> None:
        """Note that the first step begins."""
        self.history.append("ready", **self.watch.ready())

    def step(self, step: int, result: StepResult, seconds: float) -> None:
        """Note update number ``step``."""
        self.history.append(
            "step",
            step=step,
            loss=result.loss,
            seconds=round(seconds, 6),
            learning_rate=result.learning_rate,
            gradient_norm=result.gradient_norm,
            **self.watch.add("steps", seconds),
            **self.watch.first_step(),
        )
        if step % self.config.log_every == 0 or step == self.config.num_steps:
            # The reference program's line, which its users' scripts read.
            self.announce(f"step {step} - loss = {result.loss:.3f}, ({seconds:.3f} sec/step)")

    def validation(self, step: int, result: ValidationResult, seconds: float) -> None:
        """Note a validation after update number ``step``."""
        spent = self.watch.add("validation", seconds)
        self.history.append("validation", step=step, loss=result.loss, per_class=result.per_class, **spent)
        self.validated_step = step
        self.announce(f"validation after step {step} - loss = {result.loss:.3f}")

    def commit(self, step: int, optimizer: Optimizer) -> None:
        """Commit the state after update number ``step``, unless it is committed, and let go of superfluous ones."""
        if step <= self.saved_step:
            return
        started = time.monotonic()
        # First, so that no power cut leaves a checkpoint whose steps the history does not know.
        self.history.sync()
        facts = {**self.facts, "step": step, "position": step}
        new = store.commit(self.run, self.ledger, facts, optimizer.arrays())
        seconds = round(time.monotonic() - started, 6)
        self.slowest_commit = max(seconds, self.slowest_commit or 0.0)
        self.committed = store.retain(self.run, self.ledger, retention_of(self.config), [*self.committed, new])
        stall = round(time.monotonic() - started, 6)
        self.clock.restart(stall)
        self._note_commit(new, seconds, stall)
        self.announce(f"committed checkpoint {new.path.name}")

    def _note_commit(self, new: Committed, seconds: float, stall: float) -> None:
        self.stalls.append(stall)
        self.history.append(
            "commit",
            step=new.step,
            seconds=seconds,
            stall_seconds=stall,
            bytes=state.size_bytes(new.path),
            stalls=asdict(summary_of(self.stalls, self.clock.interval)),
            **self.watch.add("commits", stall),
        )

    def end(self, cause: str, step: int, detail: str = "", host: str | None = None) -> None:
        """Note why this attempt ends, and on which host if it was another process's fault; its last row."""
        self.history.append(
            "end", cause=cause, step=step, detail=detail, **self.watch.facts(), **({"host": host} if host else {})
        )
        self.history.sync()
        self.history.close()
