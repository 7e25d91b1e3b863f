"""Conditions of any kind of model."""

from __future__ import annotations

import numpy as np
import torch

from wavenet.model.config import Conditioning


def conditions(config, num_streams, draws):
    """(B,) class ids, (B, C) vectors or None."""
    if config.conditioning is Conditioning.label:
        return torch.from_numpy(draws.integers(0, config.num_conditions, num_streams))
    if config.conditioning is Conditioning.vector:
        return torch.from_numpy(draws.normal(size=(num_streams, config.num_conditions)).astype(np.float32))
    return None
