"""What decides the network's shape: dilations, receptive field and everything else derived are computed here alone."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from wavenet.errors import InputError, UsageError, did_you_mean


class Conditioning(enum.Enum):
    """What the network is told about the whole clip."""

    label = "label"
    """A class id; each class has a row of the condition table."""
    vector = "vector"
    """A vector of real numbers, multiplied by the condition table."""
    none = "none"


_SIZES = (
    "num_stacks",
    "layers_per_stack",
    "residual_channels",
    "dilation_channels",
    "skip_channels",
    "condition_channels",
)


@dataclass(frozen=True)
class ModelConfig:
    """Shape of a WaveNet (van den Oord et al., "WaveNet: a generative model for raw audio", 2016).

    Args:
        num_levels: Q, quantization levels in and out.
        kernel_size: taps of every dilated convolution and of the first layer, 2 or 3.
        num_stacks: repetitions of the dilations 1, 2, 4, ….
        layers_per_stack: dilations of one stack: 2^0 … 2^(layers_per_stack − 1).
        residual_channels, dilation_channels, skip_channels: widths as in the paper.
        conditioning: see `Conditioning`.
        num_conditions: classes (label) or the vector's width (vector); 0 exactly where there is no conditioning.
        condition_channels: width of the condition's embedding.

    Raises `UsageError` for a value that makes no network.
    """

    num_levels: int = 256
    kernel_size: int = 2
    num_stacks: int = 2
    layers_per_stack: int = 8
    residual_channels: int = 24
    dilation_channels: int = 24
    skip_channels: int = 64
    conditioning: Conditioning = Conditioning.label
    num_conditions: int = 1
    condition_channels: int = 32

    def __post_init__(self) -> None:
        for name in _SIZES:
            if getattr(self, name) < 1:
                raise UsageError(f"model.{name} must be at least 1, got {getattr(self, name)}")
        if not 2 <= self.num_levels <= 256:
            raise UsageError(f"model.num_levels must be from 2 to 256 (levels are bytes), got {self.num_levels}")
        if self.kernel_size not in (2, 3):
            raise UsageError(f"model.kernel_size must be 2 or 3, got {self.kernel_size}")
        if self.layers_per_stack > 20:
            raise UsageError(f"model.layers_per_stack must be at most 20 (a minute), got {self.layers_per_stack}")
        if self.conditioning is Conditioning.none and self.num_conditions != 0:
            raise UsageError(f"model.num_conditions must be 0 without conditioning, got {self.num_conditions}")
        if self.conditioning is not Conditioning.none and self.num_conditions < 1:
            raise UsageError(
                f"model.num_conditions must be at least 1 with conditioning by {self.conditioning.value}, "
                f"got {self.num_conditions}"
            )

    @property
    def dilations(self) -> tuple[int, ...]:
        """Dilation of every layer in samples, first layer first."""
        return tuple(2**power for power in range(self.layers_per_stack)) * self.num_stacks

    @property
    def num_layers(self) -> int:
        return self.num_stacks * self.layers_per_stack

    @property
    def receptive_field(self) -> int:
        """Number of consecutive input samples that decide one output, newest included."""
        first_layer = self.kernel_size - 1
        return (self.kernel_size - 1) * sum(self.dilations) + first_layer + 1

    @property
    def silence_level(self) -> int:
        """Level of the sample 0: 128 of 256."""
        return self.num_levels // 2

    def to_dict(self) -> dict[str, Any]:
        """A JSON-able dict that `from_dict` reads."""
        return asdict(self) | {"conditioning": self.conditioning.value}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ModelConfig:
        """Build from `to_dict`'s result; raise `InputError` where a key or value is not this version's."""
        names = [field.name for field in fields(cls)]
        for key in values:
            if key not in names:
                raise InputError(f"the model's configuration has an unknown key {key!r}{did_you_mean(key, names)}")
        for name in names:
            if name not in values:
                raise InputError(f"the model's configuration lacks the key {name!r}")
        given = dict(values)
        try:
            given["conditioning"] = Conditioning(given["conditioning"])
        except ValueError as error:
            valid = ", ".join(kind.value for kind in Conditioning)
            raise InputError(
                f"the model's conditioning must be one of {valid}, found {given['conditioning']!r}"
            ) from error
        for name in names:
            if name != "conditioning" and (not isinstance(given[name], int) or isinstance(given[name], bool)):
                raise InputError(f"the model's {name} must be an integer, found {given[name]!r}")
        return cls(**given)
