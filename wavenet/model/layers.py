"""The arithmetic of the network's layers, as functions of tensors.

Activations are kept as rows, (T·B, C) with the clips of a batch interleaved: then a shift in time is a view of
consecutive rows, every 1×1 convolution is one matrix product, and no layer transposes or pads.

Shapes: ``B`` batch, ``T`` samples, ``K`` kernel size, ``R`` residual, ``D`` dilation and ``S`` skip channels,
``W`` outputs wanted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


class LayerWeights(NamedTuple):
    """One layer's weights, prepared for `gated_layer`."""

    dilation: int
    filter_gate: Tensor  # (K·R, 2D), scaled by `gate_scale`
    bias: Tensor  # (B, 2D): filter and gate biases plus the condition's contribution, scaled by `gate_scale`
    residual: Tensor  # (D, R)
    residual_bias: Tensor  # (R,)


def gate_scale(dilation_channels: int, like: Tensor) -> Tensor:
    """The factors (2D,) by which the columns of filter and gate are multiplied for `gate`: −2 and 1.

    Both are powers of two, so scaling weights instead of activations rounds nothing.
    """
    return torch.cat([like.new_full((dilation_channels,), -2.0), like.new_ones(dilation_channels)])


def gate(activations: Tensor) -> Tensor:
    """tanh(f)·sigmoid(g) of rows (N, 2D) that hold −2f and g.

    tanh(f) = 1 − 2·sigmoid(−2f), so one contiguous sigmoid serves both: on CPU a quarter of the time of tanh and
    sigmoid on the halves, and its one result is all that the backward pass keeps.
    """
    squashed_filter, squashed_gate = torch.sigmoid(activations).chunk(2, dim=-1)
    return torch.addcmul(squashed_gate, squashed_filter, squashed_gate, value=-2)


def first_layer(levels: Tensor, tables: Tensor) -> Tensor:
    """The convolution over one-hot levels, without bias, as the sum of one embedding row per tap.

    Args:
        levels: (T, B) integers.
        tables: (K, Q, R), oldest tap first.

    Returns:
        ((T − K + 1)·B, R)
    """
    num_taps, num_outputs = len(tables), len(levels) - len(tables) + 1
    # F.embedding, not table[levels]: the latter's backward adds up in an order that depends on the threads.
    rows = F.embedding(levels[:num_outputs], tables[0])
    for tap in range(1, num_taps):
        rows = rows + F.embedding(levels[tap : tap + num_outputs], tables[tap])
    return rows.reshape(-1, tables.shape[-1])


def gated_layer(rows: Tensor, weights: LayerWeights, num_taps: int) -> tuple[Tensor, Tensor]:
    """One dilated, gated layer without its residual product.

    Args:
        rows: (T·B, R).
        weights: the layer's weights.
        num_taps: K.

    Returns:
        ``current`` (T'·B, R), the inputs at the samples that have an output, T' = T − (K − 1)·dilation, and
        ``z`` (T'·B, D), the gated activations.
    """
    batch, width = weights.bias.shape
    shift = weights.dilation * batch
    num_rows = len(rows) - (num_taps - 1) * shift
    taps = [rows[tap * shift : tap * shift + num_rows] for tap in range(num_taps)]
    product = torch.cat(taps, dim=-1) @ weights.filter_gate
    activations = product.view(-1, batch, width) + weights.bias
    return taps[-1], gate(activations.view(-1, width))


def layer_group(
    rows: Tensor, layers: Sequence[LayerWeights], skip: Tensor, num_outputs: int, *, is_last: bool
) -> tuple[Tensor, Tensor]:
    """Several layers, and their skip contributions as one product on the wanted outputs only.

    Args:
        rows: (T·B, R).
        layers: weights of the group's layers.
        skip: (layers·D, S) the group's skip weights.
        num_outputs: W.
        is_last: whether nothing follows: then the last layer's residual product is left out.

    Returns:
        (T'·B, R) the next group's input (``rows``' own last state where ``is_last``), and (B·W, S) the group's skip
        sum without biases, clips one after another.
    """
    num_taps = layers[0].filter_gate.shape[0] // rows.shape[-1]
    batch = len(layers[0].bias)
    wanted: list[Tensor] = []
    for index, weights in enumerate(layers):
        current, z = gated_layer(rows, weights, num_taps)
        wanted.append(z[-num_outputs * batch :].view(num_outputs, batch, -1).transpose(0, 1))
        if not (is_last and index == len(layers) - 1):
            # The sum stays in float32 under autocast, where the product alone is in bfloat16.
            rows = current + torch.addmm(weights.residual_bias, z, weights.residual)
    return rows, torch.cat(wanted, dim=-1).view(batch * num_outputs, -1) @ skip
