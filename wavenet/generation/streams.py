"""What one stream of generated audio starts from and draws with. Plain values; no torch.

Shapes: ``B`` streams, ``T`` samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wavenet.errors import UsageError
from wavenet.model.config import Conditioning, ModelConfig
from wavenet.seeds import stream_key, uniform

Condition = int | Sequence[float] | None


@dataclass(frozen=True)
class StreamRequest:
    """One stream of generated audio.

    Args:
        condition: class id (label), vector (vector), or None where the model has no conditioning.
        seed, stream: decide its draws: sample i uses the i-th of the stream's own numbers, whatever else is in the
            batch.
        priming: levels that it goes on from, newest last; None: silence. Fewer than the receptive field are preceded
            by silence; of more only the last count.
    """

    condition: Condition
    seed: int
    stream: int
    priming: NDArray[np.integer] | None = None

    @property
    def key(self) -> int:
        """Of its draws, 64 bits."""
        return stream_key(self.seed, "generation")

    def draws(self, start: int, num_samples: int) -> NDArray[np.float32]:
        """Uniform numbers (num_samples,) of samples ``start``…; counter (sample index, stream), key of the seed."""
        samples = np.arange(start, start + num_samples, dtype=np.uint64)
        return uniform(self.key, low=samples, high=self.stream)


def require_work(streams: Sequence[StreamRequest], num_samples: int) -> None:
    """Raise `UsageError` where nothing is asked for."""
    if not streams or num_samples < 1:
        raise UsageError(f"generation needs at least one stream and one sample, got {len(streams)} and {num_samples}")


def condition_array(config: ModelConfig, conditions: Sequence[Condition]) -> NDArray[Any]:
    """The conditions of ``B`` streams: (B,) class ids, (B, C) float32 vectors, or (B, 0) without conditioning.

    Raises:
        UsageError: one that the model does not know.
    """
    if config.conditioning is Conditioning.label:
        for condition in conditions:
            if not isinstance(condition, int | np.integer) or not 0 <= condition < config.num_conditions:
                raise UsageError(
                    f"the condition must be a class id from 0 to {config.num_conditions - 1}, got {condition!r}"
                )
        return np.array(conditions, np.int64)
    if config.conditioning is Conditioning.vector:
        vectors = [np.asarray(condition, np.float32) for condition in conditions]
        if any(vector.shape != (config.num_conditions,) for vector in vectors):
            raise UsageError(f"each condition must be a vector of {config.num_conditions} numbers")
        return np.stack(vectors)
    if any(condition is not None for condition in conditions):
        raise UsageError("this model has no conditioning: every condition must be None")
    return np.empty((len(conditions), 0), np.float32)


def left_padded(levels: NDArray[np.integer], length: int, silence_level: int) -> NDArray[np.int64]:
    """The last ``length`` of ``levels``, preceded by silence where there are fewer."""
    tail = levels[max(0, len(levels) - length) :].astype(np.int64)
    return np.concatenate([np.full(length - len(tail), silence_level, np.int64), tail])
