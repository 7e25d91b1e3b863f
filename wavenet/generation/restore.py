"""From a checkpoint folder to a network."""

from __future__ import annotations

from pathlib import Path

from wavenet.audio.names import display
from wavenet.checkpoint import state
from wavenet.errors import MismatchError
from wavenet.generation.config import Weights
from wavenet.model.config import ModelConfig
from wavenet.model.network import WaveNet


def restore(checkpoint: Path, weights: Weights) -> tuple[WaveNet, Weights]:
    """The network of a checkpoint, and which of its weights it has: raw ones where it keeps no average.

    Raises:
        InputError, DamagedError: as `wavenet.checkpoint.state.read_facts` and `read_arrays`.
        MismatchError: its arrays do not fit its own configuration.
    """
    facts = state.read_facts(checkpoint)
    if f"{weights.value}.safetensors" not in facts["files"] and weights is Weights.ema:
        weights = Weights.raw
    model = WaveNet(ModelConfig.from_dict(facts["model"]))
    try:
        model.load_arrays(state.read_arrays(checkpoint, "weights" if weights is Weights.raw else "ema"))
    except MismatchError as error:
        raise MismatchError(f"the checkpoint '{display(checkpoint)}' is of another architecture: {error}") from error
    return model.eval(), weights
