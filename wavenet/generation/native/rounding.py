"""Weights of 16 bits, for variants that round them: half as many bytes to read for each sample.

Every output has a scale of its own, a power of two. Scaling never rounds, so a kernel that is given the integers
computes bit for bit what it would with the float32 weights that they stand for. In fixed point the inputs of products
are integers, too, and weights are as large as the 32 bits of their sums allow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LARGEST = 2**15 - 1
_SUMMED_INPUTS = 128
"""As fixed.h says: in words of two."""
_LARGEST_SUM = 2**31 / 2**13 - 1
"""Of the magnitudes of so many weights."""
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
    return _with_scales(weights, np.abs(weights.astype(np.float64)).max(-2) / _LARGEST)


def rounded_for_exact_sums(weights: NDArray[Any]) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
    """The same, with scales so large that sums of 128 of them times inputs up to 2^13 stay within 32 bits."""
    magnitudes = np.abs(weights.astype(np.float64))
    sums = np.add.reduceat(magnitudes, range(0, weights.shape[-2], _SUMMED_INPUTS), axis=-2)
    least = np.maximum(magnitudes.max(-2) / _LARGEST, sums.max(-2) / (_LARGEST_SUM - _SUMMED_INPUTS / 2))
    return _with_scales(weights, least)


def _with_scales(weights: NDArray[Any], least: NDArray[np.float64]) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
    """Rounded with the next power of two that is not below ``least`` (…, outputs)."""
    scales = np.ldexp(1.0, np.maximum(np.frexp(least)[1], _LEAST_EXPONENT))
    return np.rint(weights / scales[..., np.newaxis, :]).astype(np.int16), scales.astype(np.float32)


def as_rounded(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """A model's arrays with the values that its rounded weights stand for, in float32."""
    found = dict(arrays)
    for name, product_shape in _PRODUCTS.items():
        weights = arrays[name]
        integers, scales = rounded(weights.reshape(product_shape(weights.shape)))
        found[name] = (integers * scales[..., np.newaxis, :]).reshape(weights.shape)
    return found
