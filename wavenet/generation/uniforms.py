"""The numbers of `StreamRequest.draws`, computed on the device that takes them: a processor would keep a GPU waiting.

Shapes: ``B`` streams, ``T`` samples.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from wavenet.generation.streams import StreamRequest
from wavenet.seeds import philox_rounds, split


class Uniforms:
    """Every stream's numbers, at any sample."""

    def __init__(self, streams: Sequence[StreamRequest], device: torch.device) -> None:
        keys = [split(stream.key) for stream in streams]
        numbers = [split(stream.stream) for stream in streams]
        self._key, self._number = (torch.tensor(rows, device=device).unbind(1) for rows in (keys, numbers))

    def of(self, start: int, num_samples: int) -> Tensor:
        """(T, B, 1) float32 of samples ``start``…, multiples of 2^-24 in [0, 1)."""
        device = self._key[0].device
        samples = torch.arange(start, start + num_samples, device=device)[:, None].expand(-1, len(self._key[0]))
        word: Tensor = philox_rounds([*split(samples), *self._number], *self._key)[0]
        return ((word >> 8).to(torch.float32) * 2.0**-24).unsqueeze(2)
