"""Levels of several streams at once, sample by sample, by torch alone: the reference of the native kernel.

Shapes: ``B`` streams, ``T`` samples.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wavenet.errors import NumericsError
from wavenet.generation.config import SamplingConfig
from wavenet.generation.incremental import IncrementalNetwork
from wavenet.generation.sampler import Sampler
from wavenet.generation.streams import Condition, StreamRequest, condition_array, left_padded, require_work
from wavenet.model.network import WaveNet
from wavenet.progress import Progress, silent

_PLAIN = SamplingConfig()
_BLOCK_SAMPLES = 2048
"""Samples between two reports of progress, whose draws are made at once."""


def generate_levels(
    model: WaveNet,
    streams: Sequence[StreamRequest],
    num_samples: int,
    sampling: SamplingConfig = _PLAIN,
    progress: Progress = silent,
) -> NDArray[np.uint8]:
    """Generate ``num_samples`` levels per stream.

    The same call on the same machine gives the same levels. In another batch a stream meets the same draws, but its
    matrix products may differ in their last bits, and with them now and then a level.

    Args:
        model: the network, on any device.
        streams: at least one.
        num_samples: T > 0.
        sampling: for all streams.
        progress: told (samples done, ``num_samples``) every 2,048 samples.

    Returns:
        (B, T) uint8.

    Raises `UsageError` for a condition that the model does not know, `NumericsError` for weights that are not finite.
    """
    require_work(streams, num_samples)
    for name, weight in model.named_parameters():
        if not torch.isfinite(weight).all():
            raise NumericsError(f"the weights {name!r} hold a value that is not a finite number; nothing is generated")
    device = model.input_weight.device
    with torch.inference_mode():
        network = IncrementalNetwork(
            model, condition_tensor(model, [stream.condition for stream in streams]).to(device), len(streams)
        )
        newest = _prime(network, model, streams)
        levels = torch.empty(num_samples, len(streams), 1, dtype=torch.int64, device=device)
        sampler: Sampler | None = None
        for start in range(0, num_samples, _BLOCK_SAMPLES):
            block = levels[start : start + _BLOCK_SAMPLES]
            uniforms = torch.from_numpy(_draws(streams, start, len(block))).to(device)
            for drawn, row in zip(block.unbind(0), uniforms.unbind(0), strict=True):
                logits = network.step(newest)
                sampler = sampler or Sampler(sampling, logits)
                sampler.draw(logits, row, drawn)
                newest = drawn[:, 0]
            progress(start + len(block), num_samples)
        generated: NDArray[np.uint8] = levels[:, :, 0].t().cpu().numpy().astype(np.uint8)
        return generated


def condition_tensor(model: WaveNet, conditions: Sequence[Condition]) -> Tensor:
    """The conditions of ``B`` streams as the network takes them; see `condition_array`."""
    return torch.from_numpy(condition_array(model.config, conditions))


def _prime(network: IncrementalNetwork, model: WaveNet, streams: Sequence[StreamRequest]) -> Tensor:
    """Fill the queues of the streams that go on from levels; return every stream's newest level (B,)."""
    config = model.config
    device = model.input_weight.device
    newest = torch.full((len(streams),), config.silence_level, device=device)
    primed = {
        index: left_padded(np.asarray(stream.priming), config.receptive_field, config.silence_level)
        for index, stream in enumerate(streams)
        if stream.priming is not None
    }
    if primed:
        indices = torch.tensor(list(primed), device=device)
        levels = torch.from_numpy(np.stack(list(primed.values()), axis=1)).to(device)
        network.prime(levels[:-1], indices)
        newest[indices] = levels[-1]
    return newest


def _draws(streams: Sequence[StreamRequest], start: int, num_samples: int) -> NDArray[np.float32]:
    """Every stream's numbers (num_samples, B, 1) of samples ``start``…."""
    return np.stack([stream.draws(start, num_samples) for stream in streams], 1)[:, :, np.newaxis]
