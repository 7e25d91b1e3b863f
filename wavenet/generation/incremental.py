"""The network one sample at a time: the reference path of generation, in torch alone.

At a few rows per product the time goes to calling torch, not to arithmetic. So per layer and sample there are three
calls: one product, one sigmoid, one multiplication. The product maps the previous layer's input and z, [x, z], to
this layer's input and activations at once:

    x' = x + z·W_r + b_r            [x', a'] = [x, z] · | I    W_c     |  + past
    a' = x'·W_c + past                                  | W_r  W_r·W_c |

Shapes: ``B`` streams, ``Q`` levels, ``R`` residual, ``D`` dilation, ``S`` skip channels, ``N`` = R + 2D.
"""

from __future__ import annotations

import torch
from torch import Tensor

from wavenet.generation.queues import Queue
from wavenet.model.layers import LayerWeights, first_layer, gated_layer
from wavenet.model.network import WaveNet


class IncrementalNetwork:
    """A network and the state of ``B`` streams; starts as if every sample before had been silent.

    Args:
        model: the network; its weights are folded into copies, so later changes to them have no effect.
        condition: (B,) class ids, (B, C) vectors or None, as the model's conditioning says.
        num_streams: B.

    Attributes:
        logits: (B, Q) float32, of the last step.
        period: after so many steps, or a multiple, the next one uses the same tensors again.

    Call `prime` for streams that go on from given levels, then `step` with each newest level. All calls belong into
    ``torch.inference_mode()``.
    """

    def __init__(self, model: WaveNet, condition: Tensor | None, num_streams: int) -> None:
        config = model.config
        self._model, self._num_streams = model, num_streams
        self._condition = condition
        self._layers = model.layers(condition, num_streams)
        r, d = config.residual_channels, config.dilation_channels
        past_rows = (config.kernel_size - 1) * r
        newest = [weights.filter_gate[past_rows:].double() for weights in self._layers]  # (R, 2D) each
        self._queues: list[Queue] = []
        self._transitions: list[Tensor] = []
        residual_bias = newest[0].new_zeros(r)
        for index, weights in enumerate(self._layers):
            like = weights.bias
            if index:
                residual_weight = self._layers[index - 1].residual.double()
                residual_bias = self._layers[index - 1].residual_bias.double()
                carried = torch.cat([torch.eye(r, dtype=torch.float64, device=like.device), residual_weight])
                self._transitions.append(torch.cat([carried, carried @ newest[index]], dim=1).to(like.dtype))
            bias = torch.cat([residual_bias.expand(num_streams, -1), like + residual_bias @ newest[index]], dim=1)
            past = torch.cat([like.new_zeros(past_rows, r), weights.filter_gate[:past_rows]], dim=1)
            self._queues.append(Queue(weights.dilation, bias.to(like.dtype), past, d))
        self._fold_first_layer(newest[0])
        self._fold_head()
        self._sample = 0
        self.period = max(len(self._level_rows), *(queue.dilation for queue in self._queues))
        self._due = [
            [queue for queue in self._queues if queue.dilation <= 2**power]
            for power in range(config.layers_per_stack + 1)
        ]
        self._fill_with_silence()

    def _fold_first_layer(self, newest: Tensor) -> None:
        """A row per level of what it contributes to the first layer's state: now, and as each older tap."""
        tables = self._model.input_weight.double().flip(0)  # newest tap first
        folded = torch.cat([tables, tables @ newest], dim=-1)
        self._tables = folded.transpose(0, 1).flatten(1).to(self._model.input_weight.dtype)  # (Q, K·N)
        width = folded.shape[-1]
        self._num_taps = len(tables)
        # Written in turn; a power of two, so that they come round together with the queues.
        num_rows = 1 << (self._num_taps - 1).bit_length()
        rows = self._tables.new_zeros(num_rows, self._num_streams, self._tables.shape[1])
        self._level_rows = list(rows.unbind(0))
        self._level_parts = [row.view(len(row), -1, width).unbind(1) for row in self._level_rows]

    def _fold_head(self) -> None:
        model, new = self._model, self._model.output_bias.new_empty
        self._skip_weight = model.skip_weight.flatten(0, 1)
        self._skip_bias = model.skip_bias.sum(0)
        self._z = new(self._num_streams, len(self._skip_weight))
        self._skip = new(self._num_streams, len(self._skip_bias))
        self._hidden = torch.empty_like(self._skip)
        self.logits = new(self._num_streams, model.config.num_levels)

    def _fill_with_silence(self) -> None:
        """Prime with endless silence: every queue holds one constant vector, found without a pass over time."""
        config = self._model.config
        silence = torch.full((config.kernel_size, self._num_streams), config.silence_level, device=self._tables.device)
        inputs = self._layer_inputs(silence, [weights._replace(dilation=0) for weights in self._layers])
        everyone = torch.arange(self._num_streams, device=silence.device)
        for queue, rows in zip(self._queues, inputs, strict=True):
            queue.fill(rows, everyone)
        self._remember(silence[:-1], everyone)

    def prime(self, levels: Tensor, streams: Tensor) -> None:
        """Replace the past of some streams by given levels, before the first `step`.

        Args:
            levels: (receptive field − 1, len(streams)) oldest first.
            streams: indices of these streams.
        """
        weights = [layer._replace(bias=layer.bias[streams]) for layer in self._layers]
        num_past = self._model.config.kernel_size - 1
        for queue, rows in zip(self._queues, self._layer_inputs(levels, weights), strict=True):
            queue.fill(rows[-num_past * queue.dilation :], streams)
        self._remember(levels, streams)

    def _layer_inputs(self, levels: Tensor, layers: list[LayerWeights]) -> list[Tensor]:
        """Inputs (T', B, R) of every layer for levels (T, B); T' shrinks from layer to layer."""
        taps = self._model.config.kernel_size
        rows = first_layer(levels, self._model.input_weight)
        inputs = []
        for weights in layers:
            inputs.append(rows.view(-1, levels.shape[1], rows.shape[1]))
            if weights is not layers[-1]:
                current, z = gated_layer(rows, weights, taps)
                rows = current + torch.addmm(weights.residual_bias, z, weights.residual)
        return inputs

    def _remember(self, levels: Tensor, streams: Tensor) -> None:
        """Let the first layer's older taps see the last levels of (T, len(streams))."""
        for age in range(1, self._num_taps):
            self._level_rows[-age][streams] = self._tables[levels[-age]]

    def step(self, levels: Tensor) -> Tensor:
        """Take each stream's newest level and return the logits of its next one.

        Args:
            levels: (B,) int64.

        Returns:
            (B, Q) float32, overwritten by the next call.
        """
        sample = self._sample
        for queue in self._due[min((sample & -sample).bit_length() - 1, len(self._due) - 1)]:
            queue.refill()
        slot = self._queues[0].slots[0]
        self._add_levels(levels, slot.state)
        torch.sigmoid_(slot.activations)
        torch.addcmul(slot.gate, slot.filter, slot.gate, value=-2, out=slot.filter)
        gated = [slot.filter]
        carried = slot.carried
        for queue, transition in zip(self._queues[1:], self._transitions, strict=True):
            state, activations, squashed_filter, squashed_gate, next_carried = queue.slots[sample & queue.mask]
            state.addmm_(carried, transition)
            torch.sigmoid_(activations)
            torch.addcmul(squashed_gate, squashed_filter, squashed_gate, value=-2, out=squashed_filter)
            gated.append(squashed_filter)
            carried = next_carried
        self._sample = sample + 1
        return self._head(gated)

    def _add_levels(self, levels: Tensor, state: Tensor) -> None:
        newest = self._sample % len(self._level_rows)
        torch.index_select(self._tables, 0, levels, out=self._level_rows[newest])
        for age in range(self._num_taps):
            state.add_(self._level_parts[newest - age][age])

    def _head(self, gated: list[Tensor]) -> Tensor:
        model = self._model
        torch.cat(gated, dim=1, out=self._z)
        torch.addmm(self._skip_bias, self._z, self._skip_weight, out=self._skip).relu_()
        torch.addmm(model.hidden_bias, self._skip, model.hidden_weight, out=self._hidden).relu_()
        return torch.addmm(model.output_bias, self._hidden, model.output_weight, out=self.logits)
