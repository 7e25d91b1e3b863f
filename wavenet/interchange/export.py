"""Models for other programs: ``model.safetensors`` with the weights and ``config.json`` with all else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as parse_safetensors
from safetensors.numpy import save as format_safetensors

from wavenet import durable
from wavenet.audio.names import display
from wavenet.checkpoint import state
from wavenet.errors import InputError, MismatchError
from wavenet.generation.config import Weights
from wavenet.generation.restore import restore
from wavenet.interchange.loaded import LoadedModel
from wavenet.model.config import ModelConfig
from wavenet.model.network import WaveNet

FORMAT = 1
CONFIG = "config.json"
MODEL = "model.safetensors"


def export_checkpoint(checkpoint: Path, folder: Path, weights: Weights = Weights.ema) -> Path:
    """Write the model of a checkpoint into ``folder``, which is made; files of a former export are replaced.

    ``model.safetensors`` holds the arrays of `wavenet.model.arrays.array_shapes`, float32; ``config.json`` the keys
    format, model (a `ModelConfig`), sample_rate_hz, classes, step, weights ("ema" or "raw") and checkpoint_digest.

    Returns:
        ``folder``.

    Raises:
        InputError, DamagedError, MismatchError: as `wavenet.generation.restore.restore`.
        StorageError: the folder cannot be written.
    """
    network, found = restore(checkpoint, weights)
    facts = state.read_facts(checkpoint)
    config = {
        "format": FORMAT,
        "model": network.config.to_dict(),
        **{key: facts[key] for key in ("sample_rate_hz", "classes", "step")},
        "weights": found.value,
        "checkpoint_digest": state.digest_of(checkpoint),
    }
    arrays = {name: np.ascontiguousarray(array) for name, array in network.to_arrays().items()}
    durable.write_bytes(folder / MODEL, format_safetensors(arrays))
    durable.write_json(folder / CONFIG, config)
    return folder


def read_export(folder: Path) -> LoadedModel:
    """The model of a folder that `export_checkpoint` wrote.

    Raises:
        InputError: a file is missing, damaged, or of another format.
        MismatchError: weights and configuration do not fit.
    """
    try:
        config: dict[str, Any] = json.loads((folder / CONFIG).read_bytes())
        if config["format"] != FORMAT:
            raise InputError(f"'{display(folder)}' has format {config['format']!r}; this version reads {FORMAT}")
        arrays = parse_safetensors((folder / MODEL).read_bytes())
        network = WaveNet(ModelConfig.from_dict(config["model"]))
        network.load_arrays(arrays)
        classes = tuple(str(name) for name in config["classes"])
        return LoadedModel(network.eval(), config["sample_rate_hz"], classes, config["step"], config["weights"])
    except MismatchError as error:
        raise MismatchError(f"'{display(folder)}' holds a model of another architecture: {error}") from error
    except (OSError, ValueError, LookupError, TypeError, SafetensorError) as error:
        raise InputError(f"'{display(folder)}' must hold an exported model ({CONFIG}, {MODEL}): {error}") from error
