"""WaveNet: a stack of dilated causal convolutions that predicts the next level of a waveform.

Shapes: ``B`` batch, ``T`` samples, ``Q`` levels, ``K`` kernel size, ``L`` layers, ``R`` residual, ``D`` dilation,
``S`` skip and ``E`` condition channels, ``W`` outputs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from wavenet.model.arrays import Array, array_shapes, initial_arrays, require_shapes
from wavenet.model.config import Conditioning, ModelConfig
from wavenet.model.layers import LayerWeights, first_layer, gate_scale, layer_group

_GROUP_LAYERS = 8
"""More at once need more memory where layers are recomputed; fewer make more sums over all skip channels."""


def _recomputed(*arguments: Any, **keywords: Any) -> tuple[Tensor, Tensor]:
    """`layer_group` whose activations are forgotten after the forward pass and computed again in the backward pass."""
    results: tuple[Tensor, Tensor] = checkpoint(
        layer_group, *arguments, **keywords, use_reentrant=False, preserve_rng_state=False
    )
    return results


class WaveNet(nn.Module):
    """The network; see `ModelConfig` for its shape and `array_shapes` for its weights.

    Attributes:
        config: its shape.
        recompute: forget each group's activations in the forward pass and compute them again in the backward pass:
            a third more time, a fraction of the memory, bitwise equal gradients.

    A new network's weights are undefined until `initialise` or `load_arrays`.
    """

    input_weight: Tensor
    condition_table: Tensor
    condition_weight: Tensor
    filter_gate_weight: Tensor
    filter_gate_bias: Tensor
    residual_weight: Tensor
    residual_bias: Tensor
    skip_weight: Tensor
    skip_bias: Tensor
    hidden_weight: Tensor
    hidden_bias: Tensor
    output_weight: Tensor
    output_bias: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.recompute = False
        for name, shape in array_shapes(config).items():
            self.register_parameter(name, nn.Parameter(torch.empty(shape)))

    def initialise(self, seed: int) -> None:
        """Set all weights from stream "weights" of ``seed``, whatever state torch's generator is in."""
        self.load_arrays(initial_arrays(self.config, seed))

    def to_arrays(self) -> dict[str, Array]:
        """Copies of all weights by the names of `array_shapes`."""
        return {name: weight.detach().cpu().numpy().copy() for name, weight in self.named_parameters()}

    def load_arrays(self, arrays: Mapping[str, Array]) -> None:
        """Copy ``arrays`` into the weights; raise `MismatchError`, naming the array, where they are another model's."""
        require_shapes(self.config, arrays)
        with torch.no_grad():
            for name, weight in self.named_parameters():
                weight.copy_(torch.from_numpy(np.ascontiguousarray(arrays[name], np.float32)))

    def condition_rows(self, condition: Tensor | None, batch: int) -> Tensor:
        """Biases of filter and gate (B, L, 2D) of clips with the given condition, constant over a clip's time."""
        if self.config.conditioning is Conditioning.none:
            return self.filter_gate_bias.expand(batch, -1, -1)
        if condition is None or len(condition) != batch:
            raise ValueError(f"a model conditioned by {self.config.conditioning.value} needs one condition per clip")
        is_label = self.config.conditioning is Conditioning.label
        rows = F.embedding(condition, self.condition_table) if is_label else condition @ self.condition_table
        contribution = (rows @ self.condition_weight.flatten(1)).view(batch, *self.filter_gate_bias.shape)
        return contribution + self.filter_gate_bias

    def forward(self, levels: Tensor, condition: Tensor | None = None, num_outputs: int | None = None) -> Tensor:
        """Logits of the level that follows each input which has a full receptive field.

        Args:
            levels: (B, T) integers in [0, Q).
            condition: (B,) class ids, (B, C) vectors, or None, as the model's conditioning says.
            num_outputs: only the last so many of the T − receptive field + 1 outputs; None: all.

        Returns:
            (B, W, Q) float32.
        """
        batch, length = levels.shape
        num_available = length - self.config.receptive_field + 1
        num_outputs = num_available if num_outputs is None else num_outputs
        if not 1 <= num_outputs <= num_available:
            raise ValueError(f"num_outputs must be from 1 to {num_available} for {length} levels, got {num_outputs}")
        rows = first_layer(levels[:, num_available - num_outputs :].t(), self.input_weight)
        skip: Tensor = self.skip_bias.sum(0)
        weights = self.layers(condition, batch)
        for group, skip_weight in self._groups(weights):
            run = _recomputed if self.recompute and torch.is_grad_enabled() else layer_group
            rows, contribution = run(rows, group, skip_weight, num_outputs, is_last=group[-1] is weights[-1])
            skip = skip + contribution
        hidden = torch.relu(torch.addmm(self.hidden_bias, torch.relu(skip), self.hidden_weight))
        logits = torch.addmm(self.output_bias, hidden, self.output_weight)
        return logits.view(batch, num_outputs, -1).float()

    def layers(self, condition: Tensor | None, batch: int) -> list[LayerWeights]:
        """Every layer's weights for `layer_group`; ``condition`` as in `forward`, of ``batch`` clips."""
        scale = gate_scale(self.config.dilation_channels, self.filter_gate_bias)
        return [
            LayerWeights(*values)
            for values in zip(
                self.config.dilations,
                (self.filter_gate_weight.flatten(1, 2) * scale).unbind(0),
                (self.condition_rows(condition, batch) * scale).unbind(1),
                self.residual_weight.unbind(0),
                self.residual_bias.unbind(0),
                strict=True,
            )
        ]

    def _groups(self, weights: list[LayerWeights]) -> Iterator[tuple[list[LayerWeights], Tensor]]:
        """Groups of layers with their skip weights (layers·D, S): the unit of one skip product and of recomputation."""
        for start in range(0, len(weights), _GROUP_LAYERS):
            stop = min(start + _GROUP_LAYERS, len(weights))
            yield weights[start:stop], self.skip_weight[start:stop].flatten(0, 1)
