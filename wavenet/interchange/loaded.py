"""A model for notebooks: logits of given levels, and generated audio, in numpy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from wavenet.audio import mulaw
from wavenet.errors import UsageError
from wavenet.generation.config import SamplingConfig, Variant
from wavenet.generation.generate import condition_tensor, generate_levels
from wavenet.generation.native.batch import generate_levels as native_levels
from wavenet.generation.native.library import find_library
from wavenet.generation.native.packing import PackedModel
from wavenet.generation.native.streams import Kernel
from wavenet.generation.streams import Condition, StreamRequest
from wavenet.generation.variants import choose
from wavenet.model.config import ModelConfig
from wavenet.model.network import WaveNet
from wavenet.progress import Progress, silent


@dataclass(frozen=True)
class LoadedModel:
    """A trained network with what is known of it.

    ``classes`` names the class ids; ``weights`` says "ema" or "raw"; ``step`` is 0 where nobody knows.
    """

    network: WaveNet
    sample_rate_hz: int
    classes: tuple[str, ...]
    step: int
    weights: str

    @property
    def config(self) -> ModelConfig:
        return self.network.config

    @property
    def receptive_field(self) -> int:
        """Number of consecutive input samples that decide one output, newest included."""
        return self.config.receptive_field

    def logits(self, levels: NDArray[np.integer], condition: Condition = None) -> NDArray[np.float32]:
        """Logits of the level that follows each input which has a full receptive field.

        Args:
            levels: (T,) integers in [0, Q), T at least the receptive field.
            condition: class id, vector or None, as the model's conditioning says.

        Returns:
            (T − receptive field + 1, Q) float32.

        Raises:
            UsageError: levels too few or out of range, or a condition that the model does not know.
        """
        given = np.asarray(levels)
        if given.ndim != 1 or len(given) < self.receptive_field:
            raise UsageError(
                f"levels must be one row of at least {self.receptive_field} (the receptive field), "
                f"got shape {given.shape}; put {self.config.silence_level} (silence) in front of fewer"
            )
        if not np.issubdtype(given.dtype, np.integer) or given.min() < 0 or given.max() >= self.config.num_levels:
            raise UsageError(
                f"levels must be integers from 0 to {self.config.num_levels - 1}, "
                f"got {given.dtype} from {given.min()} to {given.max()}"
            )
        with torch.inference_mode():
            batch = torch.from_numpy(given.astype(np.int64))[None].to(self.network.input_weight.device)
            found = self.network(batch, condition_tensor(self.network, [condition]).to(batch.device))[0]
            logits: NDArray[np.float32] = found.cpu().numpy()
        return logits


def generate(
    model: LoadedModel,
    conditions: Sequence[Condition],
    num_samples: int,
    seed: int = 0,
    *,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    primings: Sequence[NDArray[np.floating] | None] | None = None,
    progress: Progress = silent,
    variant: Variant | str = Variant.auto,
    threads: int = 1,
) -> NDArray[np.float32]:
    """Generate audio, one stream per condition; stream i draws from its own numbers of ``seed``.

    Args:
        model: what `wavenet.load` gave.
        conditions: B class ids (or vectors, or None).
        num_samples: samples per stream, at ``model.sample_rate_hz``.
        seed: decides all draws.
        temperature, top_k, top_p: as in `wavenet.generation.config.SamplingConfig`.
        primings: samples in [-1, 1] that each stream goes on from, None for silence; not part of the result.
        progress: told (samples done, ``num_samples``).
        variant: what computes; see `wavenet.generation.config.Variant`. With the network on a GPU it is ``cuda``.
        threads: of the native kernel, which divides the streams among them.

    Returns:
        (B, num_samples) float32 samples in [-1, 1].

    Raises:
        UsageError: a condition that the model does not know, a setting out of its range, or a variant that this
            machine cannot run.
    """
    excerpts = [None] * len(conditions) if primings is None else list(primings)
    if len(excerpts) != len(conditions):
        raise UsageError(f"primings must name one per condition, {len(conditions)}, got {len(excerpts)}")
    streams = [
        StreamRequest(condition, seed, stream, None if excerpt is None else mulaw.encode(excerpt))
        for stream, (condition, excerpt) in enumerate(zip(conditions, excerpts, strict=True))
    ]
    sampling = SamplingConfig(temperature, top_k, top_p)
    chosen = _chosen(model, variant)
    library = find_library()
    if chosen in (Variant.torch, Variant.cuda) or library is None:
        return mulaw.decode(generate_levels(model.network, streams, num_samples, sampling, progress))
    packed = PackedModel(model.config, model.network.to_arrays(), chosen.precision)
    kernel = Kernel(library, chosen.instructions, packed)
    return mulaw.decode(native_levels(kernel, streams, num_samples, sampling, progress=progress, threads=threads))


def _chosen(model: LoadedModel, name: Variant | str) -> Variant:
    try:
        variant = Variant(name)
    except ValueError as error:
        raise UsageError(f"variant must be one of {', '.join(each.value for each in Variant)}, got {name!r}") from error
    if model.network.input_weight.device.type != "cpu":
        return Variant.cuda
    if variant is Variant.cuda:
        raise UsageError(
            "variant 'cuda' draws where the network is, and it is on the CPU: model.network.to('cuda') moves it"
        )
    return choose(variant)
