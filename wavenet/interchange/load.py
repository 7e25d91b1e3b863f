"""One door for models of every origin: our checkpoints, our exports, the reference program's checkpoints."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from wavenet.audio.names import display
from wavenet.checkpoint import state, store
from wavenet.checkpoint.ledger import Ledger, Owner
from wavenet.errors import InputError, UsageError
from wavenet.generation.config import Weights
from wavenet.generation.restore import restore
from wavenet.interchange.export import CONFIG, read_export
from wavenet.interchange.loaded import LoadedModel
from wavenet.interchange.tensorflow import read_reference, step_of
from wavenet.model.network import WaveNet
from wavenet.run_paths import RunPaths

REFERENCE_SAMPLE_RATE_HZ = 16_000


def load(path: str | os.PathLike[str], weights: Weights | str = Weights.ema) -> LoadedModel:
    """Load a model for `LoadedModel.logits` and `wavenet.generate`.

    Args:
        path: a checkpoint folder (``runs/rock/checkpoints/step-00015000``), a folder written by ``wavenet export``, or
            the prefix of a TensorFlow checkpoint of the reference program (``model.ckpt-15000``).
        weights: "ema" (falls back to "raw" where a checkpoint keeps no average) or "raw".

    Raises:
        InputError: there is nothing of the kind, or it is damaged.
        DamagedError: the checkpoint is not what was committed.
    """
    place = Path(path)
    if (place / state.FACTS).exists():
        try:
            network, found = restore(place, Weights(weights))
        except ValueError as error:
            raise UsageError(f"weights must be 'ema' or 'raw', got {weights!r}") from error
        facts = state.read_facts(place)
        return LoadedModel(network, facts["sample_rate_hz"], tuple(facts["classes"]), facts["step"], found.value)
    if (place / CONFIG).exists():
        return read_export(place)
    if place.with_name(place.name + ".index").exists():
        return _reference(place)
    raise InputError(
        f"'{display(place)}' is no model: name a checkpoint folder (with {state.FACTS}), an exported folder (with "
        f"{CONFIG}) or a TensorFlow checkpoint's prefix (model.ckpt-50 for model.ckpt-50.index)"
    )


def _reference(prefix: Path) -> LoadedModel:
    """A reference checkpoint. It names no classes and no rate: the class ids and 16 kHz, the program's default."""
    config, arrays = read_reference(prefix)
    network = WaveNet(config)
    network.load_arrays(arrays)
    classes = tuple(f"class {class_id}" for class_id in range(config.num_conditions))
    return LoadedModel(network.eval(), REFERENCE_SAMPLE_RATE_HZ, classes, step_of(prefix), Weights.raw.value)


def import_checkpoint(source: Path, run: RunPaths, owner: Owner) -> store.Committed:
    """Commit a foreign model (as `load` reads it) as a checkpoint of ``run``; it holds weights alone.

    Raises:
        InputError: the source cannot be read, or the run has a checkpoint of the same step already.
        BusyError, FencedError, StorageError: as the ledger's `claim` and the store's `commit`.
    """
    model = load(source)
    present = [checkpoint.step for checkpoint in store.list_committed(run)]
    if model.step in present:
        raise InputError(f"the run {run.name!r} has a checkpoint of step {model.step} already; import into another run")
    facts: dict[str, Any] = {
        "step": model.step,
        "position": model.step,
        "model": model.config.to_dict(),
        "sample_rate_hz": model.sample_rate_hz,
        "classes": list(model.classes),
        "data_digest": "",
        "identity": {},
        "imported_from": display(source.name),
    }
    ledger = Ledger.claim(run, owner)
    return store.commit(run, ledger, facts, {"weights": model.network.to_arrays()})
