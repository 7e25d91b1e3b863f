"""Generation by torch as a textbook has it: every layer's operations one after another, as public programs do.

Its weights are the network's own, its past inputs lie in one ring per layer. What it costs is calls, some fifteen per
layer; `wavenet.generation.incremental` makes three.
"""

from __future__ import annotations

import torch
from torch import Tensor

from wavenet.model.network import WaveNet


class TextbookNetwork:
    """One stream of a network; a receptive field's length after its start, what it remembers is what it was given."""

    def __init__(self, model: WaveNet, condition: Tensor) -> None:
        config = model.config
        self._model, self._channels = model, config.dilation_channels
        self._taps, self._levels = config.kernel_size, [config.silence_level] * config.kernel_size
        self._filter_gate = list(model.filter_gate_weight.flatten(1, 2).unbind(0))
        self._bias = list(model.condition_rows(condition, 1).unbind(1))
        self._queues = [
            torch.zeros((config.kernel_size - 1) * dilation, 1, config.residual_channels)
            for dilation in config.dilations
        ]
        self._dilations, self._sample = config.dilations, 0

    def step(self, levels: Tensor) -> Tensor:
        """Take the newest level (1,); the logits (1, Q) of the next one."""
        model, level = self._model, int(levels)
        self._levels = [*self._levels[1:], level]
        rows = [table[level] for table, level in zip(model.input_weight, self._levels, strict=True)]
        current, skip = torch.stack(rows).sum(0, keepdim=True), torch.zeros(1, model.config.skip_channels)
        for layer, (queue, dilation) in enumerate(zip(self._queues, self._dilations, strict=True)):
            slot = self._sample % len(queue)
            past = [queue[(slot + tap * dilation) % len(queue)] for tap in range(self._taps - 1)]
            activations = torch.cat([*past, current], dim=1) @ self._filter_gate[layer] + self._bias[layer]
            queue[slot] = current
            z = torch.tanh(activations[:, : self._channels]) * torch.sigmoid(activations[:, self._channels :])
            skip = skip + z @ model.skip_weight[layer] + model.skip_bias[layer]
            current = current + z @ model.residual_weight[layer] + model.residual_bias[layer]
        self._sample += 1
        hidden = torch.relu(torch.relu(skip) @ model.hidden_weight + model.hidden_bias)
        return hidden @ model.output_weight + model.output_bias
