"""What an incremental network remembers: one convolution queue per layer, holding its past inputs.

A layer of dilation d needs, at sample t, its inputs at t − d (and t − 2d with three taps). All that the next d samples
need is therefore known at once, and the products with the past taps are done d samples at a time; at each sample only
the newest tap is left ("fast WaveNet generation", Le Paine et al. 2016, taken one step further).

Shapes: ``B`` streams, ``K`` kernel size, ``R`` residual and ``D`` dilation channels, ``N`` = R + 2D.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from wavenet.model.config import ModelConfig


def floats_per_stream(config: ModelConfig) -> int:
    """What the queues of a network take for each stream: biases, ring and past inputs of every layer."""
    width = config.residual_channels + 2 * config.dilation_channels
    past = (config.kernel_size - 1) * config.residual_channels
    return (2 * width + past) * sum(config.dilations)


class Slot(NamedTuple):
    """Views of one sample's state in a layer's ring: a row (N) per stream of input, filter and gate.

    Before the sample is computed it holds what the past contributes; after it, the layer's input, z in the filter's
    place, and nothing of use in the gate's.
    """

    state: Tensor  # (B, N)
    activations: Tensor  # (B, 2D)
    filter: Tensor  # (B, D)
    gate: Tensor  # (B, D)
    carried: Tensor  # (B, R + D): input and z, all that the next layer is made of


class Queue:
    """Past inputs of one layer for ``B`` streams, as a ring of ``dilation`` slots.

    Args:
        dilation: d, a power of two.
        bias: (B, N) what every sample's state starts from.
        past_weight: ((K − 1)·R, N) maps past inputs, oldest first, to what they contribute.

    Attributes:
        slots: the slot of sample t is ``slots[t & mask]``.
    """

    def __init__(self, dilation: int, bias: Tensor, past_weight: Tensor, dilation_channels: int) -> None:
        width = bias.shape[1]
        residual_channels = width - 2 * dilation_channels
        self.dilation = dilation
        self.mask = dilation - 1
        self._channels = residual_channels
        self._past_weight = past_weight
        # One bias row per ring row: addmm takes no bias that repeats with a period.
        self._bias = bias.repeat(dilation, 1)
        self._ring = torch.zeros_like(self._bias)
        self._inputs = self._ring[:, :residual_channels]
        self._past = bias.new_zeros(len(self._ring), len(past_weight))
        self._newest_past = self._past[:, -residual_channels:]
        carried = residual_channels + dilation_channels
        self.slots = [
            Slot(row, row[:, residual_channels:], row[:, residual_channels:carried], row[:, carried:], row[:, :carried])
            for row in self._ring.view(dilation, *bias.shape).unbind(0)
        ]

    def fill(self, inputs: Tensor, streams: Tensor) -> None:
        """Set the past of the streams with indices ``streams``.

        Args:
            inputs: ((K − 1)·d or 1, len(streams), R), oldest first; one row stands for a constant past.
            streams: indices.
        """
        num_past = self._past.shape[1] // self._channels
        by_time = inputs.expand(num_past * self.dilation, -1, -1).reshape(num_past, self.dilation, *inputs.shape[1:])
        self._ring.view(self.dilation, -1, self._ring.shape[1])[:, streams, : self._channels] = by_time[-1]
        past = self._past.view(self.dilation, -1, num_past, self._channels)
        for older in range(num_past - 1):
            past[:, streams, older + 1] = by_time[older]

    def refill(self) -> None:
        """Turn the d inputs in the ring into what they contribute to the next d samples."""
        if self._past.shape[1] > self._channels:
            self._past[:, : self._channels].copy_(self._newest_past)
        self._newest_past.copy_(self._inputs)
        torch.addmm(self._bias, self._past, self._past_weight, out=self._ring)
