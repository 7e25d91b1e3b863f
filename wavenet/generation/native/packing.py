"""A checkpoint's arrays in the order in which the kernel reads them, done once.

Letters as in network.h. Arithmetic here is plain additions and multiplications of doubles, never a matrix product: the
result is the same on every machine.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wavenet.errors import NumericsError
from wavenet.generation.config import Precision
from wavenet.generation.native.library import MOST_TAPS, ModelFields, aligned
from wavenet.generation.native.rounding import rounded, rounded_for_exact_sums
from wavenet.generation.streams import Condition, condition_array
from wavenet.model.arrays import require_shapes
from wavenet.model.config import Conditioning, ModelConfig

_PANEL = 16
_PRODUCTS = ("filter_gate", "residual", "skip", "hidden", "output")
_CONDITION_ARRAYS = ("filter_gate_bias", "condition_table", "condition_weight")


def _padded(count: int) -> int:
    return -(-count // _PANEL) * _PANEL


def _pad_last(array: NDArray[Any]) -> NDArray[Any]:
    """Zeros behind the last axis up to whole panels."""
    width = array.shape[-1]
    return np.pad(array, [(0, 0)] * (array.ndim - 1) + [(0, _padded(width) - width)])


def _packed(weights: NDArray[Any]) -> NDArray[Any]:
    """(…, inputs, outputs) → (…, panels, inputs, 16)."""
    padded = _pad_last(weights)
    *outer, inputs, outputs = padded.shape
    return np.moveaxis(padded.reshape(*outer, inputs, outputs // _PANEL, _PANEL), -2, -3)


def _as_floats(name: str, weights: NDArray[Any]) -> dict[str, NDArray[Any]]:
    return {name: _packed(weights).astype(np.float32, copy=False)}


def _as_integers(name: str, weights: NDArray[Any]) -> dict[str, NDArray[Any]]:
    integers, scales = rounded(weights)
    return {name: _packed(integers), f"{name}_scales": _by_panel(scales)}


def _as_pairs(name: str, weights: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """(…, inputs, outputs), an even number of inputs → (…, panels, inputs / 2, 16, 2)."""
    integers, scales = rounded_for_exact_sums(weights)
    *outer, inputs, outputs = weights.shape
    first_and_second = integers.reshape(*outer, inputs // 2, 2, outputs)
    pairs = np.stack([_packed(first_and_second[..., place, :]) for place in (0, 1)], axis=-1)
    return {name: pairs, f"{name}_scales": _by_panel(scales)}


def _by_panel(scales: NDArray[np.float32]) -> NDArray[np.float32]:
    """(…, outputs) → (…, panels, 2, 16): 1 / scale and scale; padded outputs, whose weights are 0, may have any."""
    by_panel = _pad_last(scales).reshape(*scales.shape[:-1], -1, 1, _PANEL)
    by_panel[by_panel == 0] = 1
    return np.concatenate([1 / by_panel, by_panel], axis=-2)


_PACK = {Precision.float32: _as_floats, Precision.int16: _as_integers, Precision.fixed: _as_pairs}


class PackedModel:
    """A model's weights for the kernel; read by any number of threads.

    Args:
        config: its shape.
        arrays: its float32 weights by the names of `wavenet.model.arrays.array_shapes`; copied.
        precision: what they are rounded to; see `wavenet.generation.native.rounding`.

    Attributes:
        fields: what the kernel is given; valid as long as this object lives.

    Raises:
        MismatchError: the arrays are another model's.
        NumericsError: a weight is not a finite number.
    """

    def __init__(
        self, config: ModelConfig, arrays: Mapping[str, NDArray[Any]], precision: Precision = Precision.float32
    ) -> None:
        require_shapes(config, arrays)
        for name, array in arrays.items():
            if not np.isfinite(array).all():
                raise NumericsError(
                    f"the weights {name!r} hold a value that is not a finite number; nothing is generated"
                )
        if config.kernel_size > MOST_TAPS:
            raise ValueError(f"the kernel remembers {MOST_TAPS} levels, but this model has {config.kernel_size} taps")
        self.config = config
        self.precision = precision
        self._condition = {name: np.array(arrays[name]) for name in _CONDITION_ARRAYS if name in arrays}
        self._scale = np.array([-2.0, -1.0], np.float32)[:, np.newaxis]  # of filter and gate; both exact
        packed: dict[str, NDArray[Any]] = {}
        for name, part in self._parts(arrays).items():
            packed |= _PACK[precision](name, part) if name in _PRODUCTS else {name: part.astype(np.float32)}
        self._weights = self._lay_out(packed)
        self._dilations = np.array(config.dilations, np.int32)
        self.fields = ModelFields(
            num_levels=config.num_levels,
            kernel_size=config.kernel_size,
            num_layers=config.num_layers,
            residual_channels=config.residual_channels,
            dilation_channels=config.dilation_channels,
            skip_channels=config.skip_channels,
            dilations=self._dilations.ctypes.data,
            **{name: part.ctypes.data for name, part in self._weights.items()},
        )

    def _parts(self, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        num_layers, taps = self.config.num_layers, self.config.kernel_size
        d, r = self.config.dilation_channels, self.config.residual_channels
        halves = arrays["filter_gate_weight"].reshape(num_layers, taps * r, 2, d)
        scaled = _pad_last(halves * self._scale).reshape(num_layers, taps * r, 2 * _padded(d))
        return {
            "input_tables": _pad_last(arrays["input_weight"]),
            "filter_gate": self._by_words(scaled),
            "residual": self._by_words(arrays["residual_weight"]),
            "residual_bias": _pad_last(arrays["residual_bias"]),
            "skip": self._by_words(arrays["skip_weight"]).reshape(-1, self.config.skip_channels),
            "skip_bias": _pad_last(arrays["skip_bias"].sum(0, dtype=np.float64)),
            "hidden": self._by_words(arrays["hidden_weight"]),
            "hidden_bias": _pad_last(arrays["hidden_bias"]),
            "output": self._by_words(arrays["output_weight"]),
            "output_bias": _pad_last(arrays["output_bias"]),
        }

    @property
    def word_values(self) -> int:
        """Values in a word of 32 bits of a product's inputs."""
        return 2 if self.precision is Precision.fixed else 1

    def _by_words(self, weights: NDArray[Any]) -> NDArray[Any]:
        """(…, inputs, outputs) of one row of inputs, with zeros for what its last word holds beyond them."""
        return np.pad(weights, [(0, 0)] * (weights.ndim - 2) + [(0, -weights.shape[-2] % self.word_values), (0, 0)])

    @staticmethod
    def _lay_out(parts: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """All parts one behind the other in one piece of memory, each at the beginning of a cache line."""
        offsets = np.cumsum([0, *(-(-part.nbytes // 64) * 64 for part in parts.values())])
        memory = aligned(int(offsets[-1]))
        found = {}
        for (name, part), offset in zip(parts.items(), offsets, strict=False):
            found[name] = memory[offset : offset + part.nbytes].view(part.dtype).reshape(part.shape)
            found[name][...] = part
        return found

    def bias_rows(self, condition: Condition) -> NDArray[np.float32]:
        """Biases of filter and gate of a stream with this condition, as the kernel takes them: (L, 2·Dp).

        Raises:
            UsageError: a condition that the model does not know.
        """
        given = condition_array(self.config, [condition])[0]
        bias = self._condition["filter_gate_bias"].astype(np.float64)
        if self.config.conditioning is not Conditioning.none:
            table = self._condition["condition_table"].astype(np.float64)
            is_label = self.config.conditioning is Conditioning.label
            row = table[given] if is_label else (given.astype(np.float64)[:, np.newaxis] * table).sum(0)
            bias = bias + (row[:, np.newaxis, np.newaxis] * self._condition["condition_weight"]).sum(0)
        halves = bias.reshape(len(bias), 2, -1) * self._scale
        return _pad_last(halves).reshape(len(bias), -1).astype(np.float32)

    @property
    def ring_floats(self) -> int:
        """Size of a stream's rings."""
        return (self.config.kernel_size - 1) * sum(self.config.dilations) * self.config.residual_channels

    @property
    def bias_floats(self) -> int:
        """Size of what `bias_rows` gives."""
        return 2 * self.config.num_layers * _padded(self.config.dilation_channels)

    @property
    def address(self) -> Any:
        """What the library's functions take for a model."""
        return ctypes.addressof(self.fields)
