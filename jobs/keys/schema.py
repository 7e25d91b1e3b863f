"""What may change when a run goes on: the table of every key of a run's configuration.

*identity*: another value would make another run; refused, or accepted key by key and marked in the report.
*extendable*: changes what comes after, not what was; recorded.
*free*: decides no bit of the result.

Paths are never identity: the data are known by their digest, and folders may be moved.
"""

from __future__ import annotations

import enum
from dataclasses import fields

from wavenet.model.config import ModelConfig
from wavenet.training.config import TrainingConfig
from wavenet.training.identity import identity_keys


class Change(enum.Enum):
    """What a difference to the run's frozen configuration means."""

    identity = "identity"
    extendable = "extendable"
    free = "free"


_EXTENDABLE = (
    "num_steps",
    "max_hours",
    "validation_every",
    "validation_windows",
    "checkpoint_every",
    "checkpoint_seconds",
    "checkpoint_most_seconds",
    "checkpoint_steps",
    "spread_checkpoints",
    "keep_newest",
    "keep_every",
)


def change_table(training: TrainingConfig) -> dict[str, Change]:
    """Every key, by the name under which a difference is accepted, in a run with these ``training`` settings."""
    table = {"seed": Change.identity, "data": Change.identity}
    table |= {f"model.{field.name}": Change.identity for field in fields(ModelConfig)}
    for field in fields(TrainingConfig):
        kind = Change.extendable if field.name in _EXTENDABLE else Change.free
        # The number of steps is in both lists: where the schedule depends on it, it decided the steps already taken.
        table[f"training.{field.name}"] = Change.identity if field.name in identity_keys(training) else kind
    return table
