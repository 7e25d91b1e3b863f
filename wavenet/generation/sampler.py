"""From logits to levels, in float64: temperature, the k likeliest, the nucleus, and the draw itself.

Given equal logits every implementation draws equal levels: float64 sums differ between them too, but by so little that
no draw of 24 bits falls between. In float32 one in some ten thousand would.

Shapes: ``B`` streams, ``Q`` levels.
"""

from __future__ import annotations

import torch
from torch import Tensor

from wavenet.generation.config import SamplingConfig


class Sampler:
    """Draws levels of ``B`` streams; holds its buffers, so that a draw allocates nothing."""

    def __init__(self, config: SamplingConfig, like: Tensor) -> None:
        """``like``: logits (B, Q), for their shape and device."""
        self._config = config
        self._logits = torch.empty_like(like, dtype=torch.float64)
        self._probabilities = torch.empty_like(self._logits)
        self._cumulative = torch.empty_like(self._logits)
        self._total = self._cumulative[:, -1:]
        self._thresholds = torch.empty_like(self._total)

    def draw(self, logits: Tensor, uniforms: Tensor, out: Tensor) -> None:
        """Draw one level per stream by inverting the cumulative distribution.

        Args:
            logits: (B, Q) float32.
            uniforms: (B, 1) float32 in [0, 1), multiples of 2^-24.
            out: (B, 1) int64, receives the levels.

        Cumulative probabilities end at 1 ± some rounding, so the draw is compared with u × total. With u at most
        1 − 2^-24 the product never rounds up to the total: no level beyond the last likely one can come out.
        """
        self._logits.copy_(logits)
        if self._config.temperature != 1:
            self._logits.div_(self._config.temperature)
        torch.softmax(self._logits, dim=1, out=self._probabilities)
        self._keep_likeliest()
        torch.cumsum(self._probabilities, dim=1, out=self._cumulative)
        torch.mul(uniforms, self._total, out=self._thresholds)
        torch.searchsorted(self._cumulative, self._thresholds, right=True, out=out)

    def _keep_likeliest(self) -> None:
        """Set the probabilities that top_k and top_p leave out to 0."""
        probabilities, num_levels = self._probabilities, self._probabilities.shape[1]
        if 0 < self._config.top_k < num_levels:
            kth = probabilities.topk(self._config.top_k, dim=1).values[:, -1:]
            probabilities.masked_fill_(probabilities < kth, 0)
        if self._config.top_p < 1:
            ordered = probabilities.sort(dim=1, descending=True).values
            before = ordered.cumsum(1) - ordered
            wanted = self._config.top_p * ordered.sum(1, keepdim=True)
            least = ordered.masked_fill(before >= wanted, float("inf")).amin(1, keepdim=True)
            probabilities.masked_fill_(probabilities < least, 0)
