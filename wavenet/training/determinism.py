"""Make torch repeat itself bit for bit, and tell by a short text what must be equal for that."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from wavenet import seeds
from wavenet.model.config import Conditioning, ModelConfig
from wavenet.model.network import WaveNet

_PROBE_TARGETS = 64
_PROBE_SEED = 20161109


def settle(threads: int) -> None:
    """Fix what decides the last bits of torch's results in this process: kernels, threads and tiny numbers.

    Denormal numbers count as zero: besides the speed, it is a mode of the processor that would otherwise depend on
    which library was loaded first.
    """
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)


def numeric_versions() -> dict[str, str]:
    """What besides the configuration decides the bits: libraries and the processor's instruction set in use."""
    return {
        "torch": torch.__version__,
        "numpy": np.__version__,
        "device": "cpu",
        "instructions": torch.backends.cpu.get_cpu_capability(),
    }


def fingerprint(config: ModelConfig) -> str:
    """SHA-256 (first 16 hex digits) over the gradients of a probe step of a fresh network on fixed levels.

    Two machines with the same fingerprint compute the same training step for this model; versions and flags alone
    cannot promise that, since libraries choose their kernels at run time.
    """
    model = WaveNet(config)
    model.initialise(_PROBE_SEED)
    words = seeds.philox(seeds.stream_key(_PROBE_SEED, "probe"), np.arange(config.receptive_field + _PROBE_TARGETS))
    levels = torch.from_numpy((words[:, 0] % config.num_levels).astype(np.int64))[None]
    logits = model(levels[:, :-1], _probe_condition(config))
    loss = F.cross_entropy(logits[0], levels[0, -_PROBE_TARGETS:], reduction="sum")
    gradients = torch.autograd.grad(loss, list(model.parameters()), allow_unused=True)
    digest = hashlib.sha256(loss.detach().numpy().tobytes())
    for gradient in gradients:
        if gradient is not None:
            digest.update(gradient.numpy().tobytes())
    return digest.hexdigest()[:16]


def _probe_condition(config: ModelConfig) -> Tensor | None:
    if config.conditioning is Conditioning.label:
        return torch.zeros(1, dtype=torch.int64)
    if config.conditioning is Conditioning.vector:
        return torch.ones(1, config.num_conditions)
    return None
