"""From a checkpoint folder to a model: its arrays, a network, or the weights as the native kernel reads them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from wavenet.audio.names import display
from wavenet.checkpoint import state
from wavenet.errors import MismatchError
from wavenet.generation.config import Weights
from wavenet.generation.native.packing import PackedModel
from wavenet.model.config import ModelConfig

if TYPE_CHECKING:
    from wavenet.model.network import WaveNet


def read_model(checkpoint: Path, weights: Weights) -> tuple[ModelConfig, state.Arrays, Weights]:
    """Shape and arrays of a checkpoint, and which of its weights it has: raw ones where it keeps no average.

    Raises:
        InputError, DamagedError: as `wavenet.checkpoint.state.read_facts` and `read_arrays`.
    """
    facts = state.read_facts(checkpoint)
    if f"{weights.value}.safetensors" not in facts["files"] and weights is Weights.ema:
        weights = Weights.raw
    arrays = state.read_arrays(checkpoint, "weights" if weights is Weights.raw else "ema")
    return ModelConfig.from_dict(facts["model"]), arrays, weights


def restore(checkpoint: Path, weights: Weights) -> tuple[WaveNet, Weights]:
    """The network of a checkpoint, and which of its weights it has.

    Raises:
        InputError, DamagedError: as `read_model`.
        MismatchError: its arrays do not fit its own configuration.
    """
    from wavenet.model.network import WaveNet

    config, arrays, found = read_model(checkpoint, weights)
    model = WaveNet(config)
    try:
        model.load_arrays(arrays)
    except MismatchError as error:
        raise _of_another_architecture(checkpoint, error) from error
    return model.eval(), found


def restore_packed(checkpoint: Path, weights: Weights) -> PackedModel:
    """The model of a checkpoint for the native kernel; no torch.

    Raises:
        InputError, DamagedError, MismatchError: as `restore`.
        NumericsError: a weight is not a finite number.
    """
    config, arrays, _ = read_model(checkpoint, weights)
    try:
        return PackedModel(config, arrays)
    except MismatchError as error:
        raise _of_another_architecture(checkpoint, error) from error


def _of_another_architecture(checkpoint: Path, error: MismatchError) -> MismatchError:
    return MismatchError(f"the checkpoint '{display(checkpoint)}' is of another architecture: {error}")
