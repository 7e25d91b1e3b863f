"""Weights of 16 bits, for variants that round them: half as many bytes to read for each sample.

As integers: every output has a scale of its own, a power of two. Scaling never rounds, so a kernel that is given the
integers computes bit for bit what it would with the float32 weights that they stand for. As bfloat16: the upper half of
a float32.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LARGEST = 2**15 - 1
_LEAST_EXPONENT = -100
"""Of a scale; with it even 1 / scale times a bias is far from overflowing."""
_PRODUCTS: dict[str, Callable[[tuple[int, ...]], tuple[int, ...]]] = {
    "filter_gate_weight": lambda shape: (shape[0], -1, shape[-1]),  # all taps of a layer
    "residual_weight": lambda shape: shape,
    "skip_weight": lambda shape: (-1, shape[-1]),  # all layers
    "hidden_weight": lambda shape: shape,
    "output_weight": lambda shape: shape,
}
"""The shape (…, inputs, outputs) in which the arrays are products."""


def rounded(weights: NDArray[Any]) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
    """Integers (…, inputs, outputs) and scales (…, outputs) whose product is nearest to the weights."""
    largest = np.abs(weights.astype(np.float64)).max(-2)
    exponents = np.maximum(np.frexp(largest / _LARGEST)[1], _LEAST_EXPONENT)
    scales = np.ldexp(1.0, exponents)
    return np.rint(weights / scales[..., np.newaxis, :]).astype(np.int16), scales.astype(np.float32)


def rounded_to_bfloat16(weights: NDArray[np.float32]) -> NDArray[np.uint16]:
    """The upper halves of float32, rounded to the nearest and then to the even one.

    What is too small for a float32's full precision is 0, as it is for the processor's instructions.
    """
    bits = np.where(np.abs(weights) < np.finfo(np.float32).tiny, 0, weights).astype(np.float32).view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def as_rounded(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """A model's arrays with the values that its rounded weights stand for, in float32."""
    found = dict(arrays)
    for name, product_shape in _PRODUCTS.items():
        weights = arrays[name]
        integers, scales = rounded(weights.reshape(product_shape(weights.shape)))
        found[name] = (integers * scales[..., np.newaxis, :]).reshape(weights.shape)
    return found
