"""How much room the checkpoints of a training will need. No torch: a job's submission may ask, too."""

from __future__ import annotations

import math
from collections.abc import Collection

from wavenet.checkpoint.retention import Retention
from wavenet.checkpoint.space import Need, need_of
from wavenet.model.arrays import array_shapes
from wavenet.model.config import ModelConfig
from wavenet.training.config import TrainingConfig

_FLOAT_BYTES = 4


def retention_of(training: TrainingConfig) -> Retention:
    """Which checkpoints stay."""
    return Retention(training.keep_newest, training.keep_every, training.kept_steps)


def room_needed(model: ModelConfig, training: TrainingConfig, present: Collection[int] = ()) -> Need | None:
    """What the checkpoints take that are to come after those of the steps ``present``; None when all are there."""
    done = max(present, default=0)
    every = training.checkpoint_every
    chosen = {*training.kept_steps, *(range(every, training.num_steps + 1, every) if every else ())}
    coming = {step for step in chosen if step > done}
    if not coming:
        return None
    count = retention_of(training).most_at_once({*present, *coming}) - len(present)
    weights_bytes = _FLOAT_BYTES * sum(math.prod(shape) for shape in array_shapes(model).values())
    # The weights, Adam's two moments, and where it is kept the average of the weights.
    groups = [weights_bytes, 2 * weights_bytes, *([weights_bytes] if training.ema_decay else [])]
    return need_of(groups).times(max(1, count))
