"""Everything that decides how a model is trained. Plain values; no torch at import."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from wavenet.errors import UsageError
from wavenet.settings import key


class Schedule(enum.Enum):
    """How the learning rate runs over the steps, after the linear warm-up."""

    constant = "constant"
    cosine = "cosine"


class Precision(enum.Enum):
    """Arithmetic of the products; sums along the layers, the loss and the optimiser are float32 in both."""

    float32 = "float32"
    bfloat16 = "bfloat16"


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of a training run; the defaults suit the `tiny` preset.

    Raises:
        UsageError: a value outside its range, in one sentence that names key, rule and value.
    """

    num_steps: int = key(2500, "optimiser updates in the whole run")
    window_samples: int = key(1000, "targets per window; its context of one receptive field comes on top")
    micro_batches: int = key(4, "micro-batches per step, a power of two; their gradients are summed along one tree")
    micro_batch_size: int = key(1, "windows per micro-batch")
    padding_share: float = key(0.05, "share of windows that begin inside the left padding, where generation starts")

    learning_rate: float = key(1e-3, "Adam's step size at its highest")
    beta1: float = key(0.9, "Adam's decay of the first moment")
    beta2: float = key(0.999, "Adam's decay of the second moment")
    epsilon: float = key(1e-8, "Adam's epsilon")
    schedule: Schedule = key(Schedule.cosine, "constant, or a cosine down to the final share at num_steps")
    warmup_steps: int = key(50, "steps over which the learning rate rises from 0")
    final_learning_rate_share: float = key(0.02, "where the cosine ends, as a share of learning_rate")
    gradient_clip: float = key(1.0, "largest norm of the gradient; 0 leaves it alone")
    ema_decay: float = key(0.999, "decay of the averaged weights used for generation; 0 keeps none")

    precision: Precision = key(Precision.float32, "float32, or bfloat16 products")
    threads: int = key(1, "threads of one process; part of the identity, since they decide the last bits")
    processes: int = key(1, "processes that share the micro-batches; free to change, it changes no bit")
    partner_seconds: float = key(600.0, "how long a process waits for another one, validation and saving included")
    hang_seconds: float = key(300.0, "no step, read or commit for so long is a hang, which ends the attempt; 0: never")
    hang_steps: float = key(10.0, "... or for so many times the usual step, if that is longer")
    max_hours: float = key(0.0, "hours of all attempts together, after which the run is saved and stays; 0: no limit")
    recompute: bool = key(False, "recompute layers in the backward pass: less memory, a third more time, same bits")

    validation_every: int = key(250, "steps between validations; 0 validates never")
    validation_windows: int = key(32, "held-out windows per class in one validation")
    checkpoint_every: int = key(0, "steps between checkpoints; 0 leaves them to the clock")
    checkpoint_seconds: float = key(
        300.0,
        "fewest seconds between checkpoints: more where they would take 1 % of the time; 0 leaves them to the steps",
    )
    checkpoint_most_seconds: float = key(3600.0, "most seconds between them, however long one takes")
    checkpoint_steps: tuple[int, ...] = key((20,), "further steps at which a checkpoint is committed and kept for ever")
    spread_checkpoints: int = key(4, "checkpoints at even distances over num_steps that are kept for ever")
    keep_newest: int = key(3, "newest checkpoints that are kept; 0 keeps all")
    keep_every: int = key(0, "checkpoints at multiples of this many steps are kept for ever; 0 keeps none so")
    log_every: int = key(10, "steps between lines of the plain log")

    def __post_init__(self) -> None:
        for name in ("num_steps", "window_samples", "micro_batches", "micro_batch_size", "threads", "processes"):
            self._require(name, getattr(self, name) >= 1, "at least 1")
        for name in ("learning_rate", "epsilon", "partner_seconds"):
            self._require(name, getattr(self, name) > 0, "above 0")
        for name in ("beta1", "beta2", "ema_decay"):
            self._require(name, 0 <= getattr(self, name) < 1, "in [0, 1)")
        for name in ("padding_share", "final_learning_rate_share"):
            self._require(name, 0 <= getattr(self, name) <= 1, "in [0, 1]")
        for name in ("warmup_steps", "gradient_clip", "validation_every", "checkpoint_every", "checkpoint_seconds"):
            self._require(name, getattr(self, name) >= 0, "at least 0")
        self._require("checkpoint_most_seconds", self.checkpoint_most_seconds > 0, "above 0")
        for name in ("keep_newest", "keep_every", "spread_checkpoints", "hang_seconds", "hang_steps", "max_hours"):
            self._require(name, getattr(self, name) >= 0, "at least 0")
        for name in ("validation_windows", "log_every"):
            self._require(name, getattr(self, name) >= 1, "at least 1")
        self._require("micro_batches", self.micro_batches.bit_count() == 1, "a power of two")
        self._require("checkpoint_steps", all(step >= 1 for step in self.checkpoint_steps), "a list of steps from 1")
        shares = self.micro_batches % self.processes == 0 and self.processes.bit_count() == 1
        rule = f"a power of two and at most training.micro_batches = {self.micro_batches}"
        self._require("processes", shares, rule)

    def _require(self, name: str, is_valid: bool, rule: str) -> None:
        if not is_valid:
            raise UsageError(f"training.{name} must be {rule}, got {getattr(self, name)}")

    @property
    def batch_size(self) -> int:
        """Windows per step."""
        return self.micro_batches * self.micro_batch_size

    @property
    def kept_steps(self) -> frozenset[int]:
        """Steps at which a checkpoint is committed whatever the clock says, and kept for ever."""
        count = self.spread_checkpoints
        spread = (self.num_steps * part // count for part in range(1, count + 1))
        chosen = {*self.checkpoint_steps, *spread, self.num_steps}
        return frozenset(step for step in chosen if 1 <= step <= self.num_steps)

    @property
    def schedule_depends_on_num_steps(self) -> bool:
        """Whether another number of steps would have changed the steps already taken."""
        return self.schedule is Schedule.cosine
