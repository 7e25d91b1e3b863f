"""A model's weights as plain arrays: their names, shapes and initial values. No torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wavenet.errors import MismatchError
from wavenet.model.config import Conditioning, ModelConfig
from wavenet.seeds import generator

Array = NDArray[np.float32]


def array_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Name and shape of every array of a model, in the fixed order in which `initial_arrays` draws them.

    ===================== ============== =====================================================================
    input_weight          (K, Q, R)      first layer, oldest tap first; no bias
    condition_table       (C, E)         row of each class, or the matrix that a condition vector is multiplied by
    condition_weight      (E, L, 2D)     condition → filter (first D) and gate (last D) of every layer; no bias
    filter_gate_weight    (L, K, R, 2D)  dilated convolutions, oldest tap first; filter first D, gate last D
    filter_gate_bias      (L, 2D)
    residual_weight       (L, D, R)      the last layer's is never used and keeps its first value
    residual_bias         (L, R)
    skip_weight           (L, D, S)
    skip_bias             (L, S)
    hidden_weight         (S, S)         head, first 1×1 convolution
    hidden_bias           (S,)
    output_weight         (S, Q)         head, second 1×1 convolution
    output_bias           (Q,)
    ===================== ============== =====================================================================

    The two condition arrays are missing where the model has no conditioning. All layers share an array, so that a
    model of 50 layers has 13 arrays, not 450.
    """
    k, q, n = config.kernel_size, config.num_levels, config.num_layers
    r, d, s, e = config.residual_channels, config.dilation_channels, config.skip_channels, config.condition_channels
    condition: dict[str, tuple[int, ...]] = {
        "condition_table": (config.num_conditions, e),
        "condition_weight": (e, n, 2 * d),
    }
    return {
        "input_weight": (k, q, r),
        **(condition if config.conditioning is not Conditioning.none else {}),
        "filter_gate_weight": (n, k, r, 2 * d),
        "filter_gate_bias": (n, 2 * d),
        "residual_weight": (n, d, r),
        "residual_bias": (n, r),
        "skip_weight": (n, d, s),
        "skip_bias": (n, s),
        "hidden_weight": (s, s),
        "hidden_bias": (s,),
        "output_weight": (s, q),
        "output_bias": (q,),
    }


def _fans(config: ModelConfig) -> dict[str, int]:
    """Fan-in plus fan-out of every array that Glorot's rule initialises; both count the kernel width."""
    k, e = config.kernel_size, config.condition_channels
    r, d, s, q = config.residual_channels, config.dilation_channels, config.skip_channels, config.num_levels
    return {
        "input_weight": k * (q + r),
        "condition_table": config.num_conditions + e,
        "condition_weight": e + d,
        "filter_gate_weight": k * (r + d),
        "residual_weight": d + r,
        "skip_weight": d + s,
        "hidden_weight": s + s,
        "output_weight": s + q,
    }


def initial_arrays(config: ModelConfig, seed: int) -> dict[str, Array]:
    """Initial weights as a function of the seed alone: Glorot uniform; biases 0; a square condition table identity."""
    draws, fans = generator(seed, "weights"), _fans(config)
    arrays: dict[str, Array] = {}
    for name, shape in array_shapes(config).items():
        if name == "condition_table" and shape[0] == shape[1]:
            arrays[name] = np.eye(shape[0], dtype=np.float32)
        elif name in fans:
            limit = math.sqrt(6.0 / fans[name])
            arrays[name] = draws.uniform(-limit, limit, shape).astype(np.float32)
        else:
            arrays[name] = np.zeros(shape, np.float32)
    return arrays


def require_shapes(config: ModelConfig, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Raise `MismatchError`, naming the array, where ``arrays`` are not those of a model of this shape."""
    shapes = array_shapes(config)
    for name in arrays:
        if name not in shapes:
            raise MismatchError(f"these weights hold an array {name!r} that this model does not have")
    for name, shape in shapes.items():
        if name not in arrays:
            raise MismatchError(f"these weights lack the array {name!r} of shape {shape}")
        if arrays[name].shape != shape:
            raise MismatchError(
                f"the weights' array {name!r} must have shape {shape} in this model, found {arrays[name].shape}"
            )
