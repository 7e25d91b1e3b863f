"""The checkpoints that made the clips, brought along as weights and configuration only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wavenet import durable
from wavenet.checkpoint import state
from wavenet.errors import WavenetError
from wavenet.report.gather import Material


@dataclass(frozen=True)
class BroughtModel:
    """A model in the report folder: ``name`` below models/, the step, which weights, and their size."""

    name: str
    step: int
    weights: str
    num_bytes: int


def bring_models(material: Material, folder: Path, problems: list[str]) -> list[BroughtModel]:
    """Write each checkpoint that a clip was made from below ``folder``, without what only training needs.

    Each is a checkpoint folder of its own (checkpoint.json, weights.safetensors) that ``wavenet.load`` reads. One that
    is there already with the same source is kept; one whose checkpoint is gone or damaged is named in ``problems``.
    """
    committed = {checkpoint.step: checkpoint.path for checkpoint in material.checkpoints}
    wanted = sorted({(clip.step, clip.weights) for clip in material.clips})
    gone = sorted({step for step, _ in wanted} - set(committed))
    if gone:
        named = ", ".join(f"{step:,}" for step in gone[:5]) + (f" and {len(gone) - 5:,} more" if len(gone) > 5 else "")
        problems.append(f"These checkpoints are not kept any more, so their models are not brought along: step {named}")
    brought = []
    for step, weights in wanted:
        if step in gone:
            continue
        name = f"step-{step:08d}" if weights == "raw" else f"step-{step:08d}-{weights}"
        try:
            num_bytes = _bring(committed[step], folder / name, weights)
        except (WavenetError, OSError, KeyError, ValueError) as error:
            problems.append(f"The model of step {step:,} is not brought along: {error}")
        else:
            brought.append(BroughtModel(name, step, weights, num_bytes))
    return brought


def _bring(checkpoint: Path, target: Path, weights: str) -> int:
    """Return the bytes of the weights."""
    group = "ema" if weights == "ema" else "weights"
    source = {"digest": state.digest_of(checkpoint), "weights": weights}
    if _is_from(target, source):
        return int(state.read_facts(target)["files"]["weights.safetensors"]["bytes"])
    facts: dict[str, Any] = {key: value for key, value in state.read_facts(checkpoint).items() if key != "files"}
    durable.remove_folder(target)
    state.write_checkpoint(
        target, {**facts, "exported_from": source}, {"weights": state.read_arrays(checkpoint, group)}
    )
    return int(state.read_facts(target)["files"]["weights.safetensors"]["bytes"])


def _is_from(target: Path, source: Mapping[str, str]) -> bool:
    try:
        return bool(state.read_facts(target).get("exported_from") == source)
    except (WavenetError, OSError):
        return False
