"""The reference program's checkpoints (tensorflow-wavenet with a global condition) as models of ours.

A checkpoint holds no configuration. Its shapes tell everything but the dilations, which are taken to be stacks of
1, 2, …, 512: the reference's default, and the class project's.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wavenet.audio.names import display
from wavenet.errors import InputError, UsageError
from wavenet.interchange.tensor_bundle import read_bundle
from wavenet.model.config import Conditioning, ModelConfig

Array = NDArray[np.float32]
_LAYERS_PER_STACK = 10


def step_of(prefix: Path) -> int:
    """The step in a checkpoint's name: 50 of ``model.ckpt-50``; 0 where it has none."""
    match = re.search(r"-(\d+)$", prefix.name)
    return int(match[1]) if match else 0


def read_reference(prefix: Path) -> tuple[ModelConfig, dict[str, Array]]:
    """Configuration and arrays (named as `wavenet.model.arrays.array_shapes` says) of ``prefix``.

    Raises:
        InputError: the files are not readable (as `read_bundle` says) or not a WaveNet's (as `convert` says).
    """
    return convert(prefix, read_bundle(prefix))


def convert(prefix: Path, variables: dict[str, NDArray[Any]]) -> tuple[ModelConfig, dict[str, Array]]:
    """As `read_reference`, of the variables read from ``prefix``.

    Raises:
        InputError: they are not a WaveNet's: the sentence names the variable that is missing or of the wrong shape.
    """
    named = _Variables(prefix, variables)
    config = _config(named)
    return config, _arrays(named, config)


class _Variables:
    """The variables by name, with errors that tell which is missing."""

    def __init__(self, prefix: Path, variables: dict[str, NDArray[Any]]) -> None:
        self.prefix = prefix
        self._variables = variables

    def __contains__(self, name: str) -> bool:
        return f"wavenet/{name}" in self._variables

    def get(self, name: str, shape: tuple[int, ...]) -> Array:
        """The variable, whose shape must be ``shape``; −1 stands for any size."""
        found = self._variables.get(f"wavenet/{name}")
        if found is None:
            raise InputError(
                f"{display(self.prefix)} is not a checkpoint of a tensorflow-wavenet: "
                f"it has no variable 'wavenet/{name}'"
            )
        if len(found.shape) != len(shape) or any(w not in (-1, f) for w, f in zip(shape, found.shape, strict=True)):
            raise InputError(
                f"{display(self.prefix)} is not a checkpoint of a tensorflow-wavenet: its variable 'wavenet/{name}' "
                f"must have shape {shape} (-1: any), found {found.shape}"
            )
        return found.astype(np.float32)


def _config(variables: _Variables) -> ModelConfig:
    kernel_size, num_levels, residual = variables.get("causal_layer/filter", (-1, -1, -1)).shape
    dilation = variables.get("dilated_stack/layer0/filter", (kernel_size, residual, -1)).shape[2]
    skip = variables.get("dilated_stack/layer0/skip", (1, dilation, -1)).shape[2]
    num_layers = 0
    while f"dilated_stack/layer{num_layers}/filter" in variables:
        num_layers += 1
    if num_layers % _LAYERS_PER_STACK:
        raise InputError(
            f"{display(variables.prefix)} must have a multiple of {_LAYERS_PER_STACK} layers (dilations 1 … 512), "
            f"found {num_layers}"
        )
    condition: dict[str, Any] = {"conditioning": Conditioning.none, "num_conditions": 0}
    if "embeddings/gc_embedding" in variables:
        classes, channels = variables.get("embeddings/gc_embedding", (-1, -1)).shape
        condition = {"conditioning": Conditioning.label, "num_conditions": classes, "condition_channels": channels}
    try:
        return ModelConfig(
            num_levels=num_levels,
            kernel_size=kernel_size,
            num_stacks=num_layers // _LAYERS_PER_STACK,
            layers_per_stack=_LAYERS_PER_STACK,
            residual_channels=residual,
            dilation_channels=dilation,
            skip_channels=skip,
            **condition,
        )
    except UsageError as error:
        raise InputError(f"{display(variables.prefix)} cannot be imported: {error}") from error


def _arrays(variables: _Variables, config: ModelConfig) -> dict[str, Array]:
    k, q, e = config.kernel_size, config.num_levels, config.condition_channels
    r, d, s = config.residual_channels, config.dilation_channels, config.skip_channels

    def stacked(name: str, shape: tuple[int, ...]) -> Array:
        names = [f"dilated_stack/layer{layer}/{name}" for layer in range(config.num_layers)]
        return np.stack([variables.get(each, shape) for each in names])

    def pair(first: str, second: str, shape: tuple[int, ...]) -> Array:
        return np.concatenate([stacked(first, shape), stacked(second, shape)], axis=-1)

    arrays = {
        "input_weight": variables.get("causal_layer/filter", (k, q, r)),
        "filter_gate_weight": pair("filter", "gate", (k, r, d)),
        "filter_gate_bias": pair("Variable", "Variable_1", (d,)),
        "residual_weight": stacked("dense", (1, d, r))[:, 0],
        "residual_bias": stacked("Variable_2", (r,)),
        "skip_weight": stacked("skip", (1, d, s))[:, 0],
        "skip_bias": stacked("Variable_3", (s,)),
        "hidden_weight": variables.get("postprocessing/postprocess1", (1, s, s))[0],
        "hidden_bias": variables.get("postprocessing/Variable", (s,)),
        "output_weight": variables.get("postprocessing/postprocess2", (1, s, q))[0],
        "output_bias": variables.get("postprocessing/Variable_1", (q,)),
    }
    if config.conditioning is Conditioning.label:
        arrays["condition_table"] = variables.get("embeddings/gc_embedding", (config.num_conditions, e))
        arrays["condition_weight"] = pair("gc_filter", "gc_gate", (1, e, d))[:, 0].swapaxes(0, 1)
    return arrays
