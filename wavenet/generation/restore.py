"""From a checkpoint folder to a model: its arrays, a network, or the weights as the native kernel reads them."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from wavenet.audio.names import display
from wavenet.checkpoint import state
from wavenet.checkpoint.store import list_committed
from wavenet.errors import InputError, MismatchError
from wavenet.generation.config import Precision, Weights
from wavenet.generation.native.packing import PackedModel
from wavenet.generation.requests import ClipRequest
from wavenet.model.config import ModelConfig
from wavenet.run_paths import RunPaths

if TYPE_CHECKING:
    from wavenet.model.network import WaveNet


def checkpoint_of(run: RunPaths, request: ClipRequest) -> Path:
    """The folder of the request's checkpoint.

    Raises:
        InputError: it is not there any more.
        MismatchError: it is another one than the request was made for.
    """
    path = run.checkpoint(request.step)
    with contextlib.suppress(InputError):
        # Its own digest says that it is the one that was committed: the run's whole ledger need not be read for that.
        if state.digest_of(path) == request.checkpoint_digest:
            return path
    committed = {checkpoint.step: checkpoint for checkpoint in list_committed(run)}
    checkpoint = committed.get(request.step)
    if checkpoint is None:
        valid = ", ".join(str(step) for step in committed) or "none"
        raise InputError(f"the run {run.name!r} has no checkpoint of step {request.step} any more; it has {valid}")
    if checkpoint.digest != request.checkpoint_digest:
        raise MismatchError(
            f"the checkpoint of step {request.step} of the run {run.name!r} is not the one that the clips were planned "
            f"for: its digest is {checkpoint.digest[:12]}…, planned was {request.checkpoint_digest[:12]}…; plan anew"
        )
    return checkpoint.path


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


def restore_packed(checkpoint: Path, weights: Weights, precision: Precision = Precision.float32) -> PackedModel:
    """The model of a checkpoint for the native kernel; no torch.

    Raises:
        InputError, DamagedError, MismatchError: as `restore`.
        NumericsError: a weight is not a finite number.
    """
    config, arrays, _ = read_model(checkpoint, weights)
    try:
        return PackedModel(config, arrays, precision)
    except MismatchError as error:
        raise _of_another_architecture(checkpoint, error) from error


def _of_another_architecture(checkpoint: Path, error: MismatchError) -> MismatchError:
    return MismatchError(f"the checkpoint '{display(checkpoint)}' is of another architecture: {error}")
