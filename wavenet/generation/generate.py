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
from wavenet.generation.drawing import Drawing, Repeated, record_cuda_graph
from wavenet.generation.incremental import IncrementalNetwork
from wavenet.generation.streams import Condition, StreamRequest, condition_array, left_padded, require_work
from wavenet.generation.uniforms import Uniforms
from wavenet.model.network import WaveNet
from wavenet.progress import Progress, silent

_PLAIN = SamplingConfig()
_BLOCK_SAMPLES = 512
"""Samples between two reports of progress, at least; on a GPU so many are recorded."""


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
        progress: told (samples done, ``num_samples``) every 512 samples or more.

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
        block = max(_BLOCK_SAMPLES, network.period)  # both are powers of two
        drawing = Drawing(network, prime(network, model, streams), sampling, block)
        advance = (Repeated(drawing, record_cuda_graph) if device.type == "cuda" else drawing).advance
        uniforms = Uniforms(streams, device)
        generated = np.empty((len(streams), num_samples), np.uint8)
        for start in range(0, num_samples, block):
            count = min(block, num_samples - start)
            drawing.uniforms[:count] = uniforms.of(start, count)
            advance(count)
            drawn = drawing.levels[:count, :, 0].to(torch.uint8)
            generated[:, start : start + count] = drawn.cpu().numpy().T
            progress(start + count, num_samples)
        return generated


def condition_tensor(model: WaveNet, conditions: Sequence[Condition]) -> Tensor:
    """The conditions of ``B`` streams as the network takes them; see `condition_array`."""
    return torch.from_numpy(condition_array(model.config, conditions))


def prime(network: IncrementalNetwork, model: WaveNet, streams: Sequence[StreamRequest]) -> Tensor:
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
