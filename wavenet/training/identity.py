"""What must be equal for a run to go on with the same bits, and the refusal when it is not.

Paths are no part of it: run and data folders may be moved, the data are known by their digest. Nor is the number of
processes, recomputation, or when to validate, log and commit: they change no bit of the weights.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping
from typing import Any

from wavenet.errors import MismatchError
from wavenet.model.config import ModelConfig
from wavenet.training.config import TrainingConfig

_TRAINING_KEYS = (
    "window_samples",
    "micro_batches",
    "micro_batch_size",
    "padding_share",
    "learning_rate",
    "beta1",
    "beta2",
    "epsilon",
    "schedule",
    "warmup_steps",
    "final_learning_rate_share",
    "gradient_clip",
    "ema_decay",
    "precision",
    "threads",
)

Identity = dict[str, Any]


def identity_keys(training: TrainingConfig) -> tuple[str, ...]:
    """Names of the training settings that belong to the identity; num_steps does where the schedule depends on it."""
    return (*_TRAINING_KEYS, "num_steps") if training.schedule_depends_on_num_steps else _TRAINING_KEYS


def identity_of(
    *, model: ModelConfig, training: TrainingConfig, seed: int, data_digest: str, numerics: Mapping[str, str]
) -> Identity:
    """Flat dict of JSON values under the names that a user may accept a difference by."""
    settings = {f"training.{name}": _plain(getattr(training, name)) for name in identity_keys(training)}
    shape = {f"model.{name}": value for name, value in model.to_dict().items()}
    libraries = {f"numerics.{name}": value for name, value in numerics.items()}
    return {"data": data_digest, "seed": seed, **shape, **settings, **libraries}


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, enum.Enum) else value


def require_same(run_name: str, before: Identity, now: Identity, accepted: Collection[str]) -> list[str]:
    """Compare two identities.

    Returns:
        The names that differ and were accepted.

    Raises:
        MismatchError: a name differs and was not accepted.
    """
    differing = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
    refused = [name for name in differing if name not in accepted]
    if not refused:
        return differing
    changes = ", ".join(f"{name} was {before.get(name)!r} and is {now.get(name)!r}" for name in refused)
    raise MismatchError(
        f"the run {run_name!r} goes on only with what it began with: {changes}; start a new run, or add "
        f"'accept=[{','.join(differing)}]' to go on all the same, which the report will mark"
    )
