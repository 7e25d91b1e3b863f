"""``wavenet import`` and ``wavenet export``: checkpoints from and to other formats."""

from __future__ import annotations

from dataclasses import dataclass

from omegaconf import MISSING

from jobs.environment import owner, placement
from jobs.folders import DEFAULT_ROOT, absolute, run_paths, shown
from jobs.work.ownership import launching, require_free
from wavenet.checkpoint.store import Committed, list_committed
from wavenet.errors import InputError, UsageError
from wavenet.generation.config import Weights
from wavenet.run_paths import RunPaths
from wavenet.settings import key


@dataclass(frozen=True, kw_only=True)
class ImportKeys:
    """Keys of ``wavenet import``."""

    source: str = key(MISSING, "a TensorFlow checkpoint's prefix or an exported folder, such as model.ckpt-15000")
    run: str = key(MISSING, "name or path of the run to put it in; for example run=imported")
    root: str = key(DEFAULT_ROOT, "folder of the runs that are given by name")


@dataclass(frozen=True, kw_only=True)
class ExportKeys:
    """Keys of ``wavenet export``."""

    run: str = key(MISSING, "the run's name below root, or its path; for example run=first")
    target: str = key(MISSING, "the folder to write; for example target=model")
    step: int = key(0, "step of the checkpoint; 0: the newest")
    weights: Weights = key(Weights.ema, "averaged or raw weights")
    root: str = key(DEFAULT_ROOT, "folder of the runs that are given by name")


def import_(keys: ImportKeys) -> None:
    """Bring a foreign checkpoint into a run, as a committed one of its own."""
    from wavenet.interchange.load import import_checkpoint

    run = run_paths(keys.run, keys.root)
    require_free(run, takeover=False)
    with launching(run):
        committed = import_checkpoint(absolute(keys.source), run, owner(placement(), 0))
    print(f"imported step {committed.step}: {shown(committed.path)}")


def export(keys: ExportKeys) -> None:
    """Write a checkpoint's weights and configuration for other programs."""
    from wavenet.interchange.export import export_checkpoint

    checkpoint = find_checkpoint(run_paths(keys.run, keys.root), keys.step)
    folder = export_checkpoint(checkpoint.path, absolute(keys.target), keys.weights)
    print(f"exported step {checkpoint.step}: {shown(folder)}")


def find_checkpoint(run: RunPaths, step: int) -> Committed:
    """The committed checkpoint of ``step``, or the newest for 0.

    Raises:
        InputError: the run has none.
        UsageError: the run has others, but not that one.
    """
    committed = list_committed(run)
    if not committed:
        raise InputError(f"the run {str(run.root)!r} has no checkpoint; `wavenet train` or `wavenet import` makes one")
    for checkpoint in committed:
        if step in (0, checkpoint.step) and (step or checkpoint is committed[-1]):
            return checkpoint
    steps = ", ".join(str(checkpoint.step) for checkpoint in committed)
    raise UsageError(f"step must be one of the run's checkpoints ({steps}), got {step}")
