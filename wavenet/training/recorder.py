"""What rank 0 writes down: its claim, the history of its attempt, and the checkpoints."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from wavenet.checkpoint import state, store
from wavenet.checkpoint.ledger import Ledger
from wavenet.checkpoint.store import Committed
from wavenet.model.config import ModelConfig
from wavenet.run_paths import RunPaths
from wavenet.training.config import TrainingConfig
from wavenet.training.history import HistoryWriter
from wavenet.training.room import retention_of, room_needed
from wavenet.training.step import Optimizer, StepResult
from wavenet.training.validation import ValidationResult

Announce = Callable[[str], None]


class CheckpointClock:
    """Tells when a checkpoint is due: at chosen steps, at multiples, and when the last one is long ago."""

    def __init__(self, config: TrainingConfig, now: Callable[[], float] = time.monotonic) -> None:
        self._config = config
        self._now = now
        self._last = now()

    def is_due(self, step: int) -> bool:
        """Whether the state after update number ``step`` should be committed."""
        every, seconds = self._config.checkpoint_every, self._config.checkpoint_seconds
        is_late = seconds > 0 and self._now() - self._last >= seconds
        return step in self._config.kept_steps or (every > 0 and step % every == 0) or is_late

    def restart(self) -> None:
        """Count from now: a checkpoint has just been committed."""
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

    def step(self, step: int, result: StepResult, seconds: float) -> None:
        """Note update number ``step``."""
        self.history.append(
            "step",
            step=step,
            loss=result.loss,
            seconds=round(seconds, 6),
            learning_rate=result.learning_rate,
            gradient_norm=result.gradient_norm,
        )
        if step % self.config.log_every == 0 or step == self.config.num_steps:
            # The reference program's line, which its users' scripts read.
            self.announce(f"step {step} - loss = {result.loss:.3f}, ({seconds:.3f} sec/step)")

    def validation(self, step: int, result: ValidationResult) -> None:
        """Note a validation after update number ``step``."""
        self.history.append("validation", step=step, loss=result.loss, per_class=result.per_class)
        self.announce(f"validation after step {step} - loss = {result.loss:.3f}")

    def commit(self, step: int, optimizer: Optimizer) -> None:
        """Commit the state after update number ``step``, unless it is committed, and let go of superfluous ones."""
        if step <= self.saved_step:
            return
        started = time.monotonic()
        facts = {**self.facts, "step": step, "position": step}
        new = store.commit(self.run, self.ledger, facts, optimizer.arrays())
        seconds = round(time.monotonic() - started, 6)
        self.slowest_commit = max(seconds, self.slowest_commit or 0.0)
        self.history.append("commit", step=step, seconds=seconds, bytes=state.size_bytes(new.path))
        self.history.sync()
        self.committed = store.retain(self.run, self.ledger, retention_of(self.config), [*self.committed, new])
        self.clock.restart()
        self.announce(f"committed checkpoint {new.path.name}")

    def end(self, cause: str, step: int, detail: str = "", host: str | None = None) -> None:
        """Note why this attempt ends, and on which host if it was another process's fault; its last row."""
        self.history.append("end", cause=cause, step=step, detail=detail, **({"host": host} if host else {}))
        self.history.sync()
        self.history.close()
