"""A naive WaveNet in float64, written from the model's definition, to compare the fast one with."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from wavenet.model.config import Conditioning


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def random_inputs(config, batch, length, seed=0):
    """(B, T) levels and the condition that the model takes."""
    draws = np.random.default_rng(seed)
    levels = torch.from_numpy(draws.integers(0, config.num_levels, (batch, length)))
    condition = {
        Conditioning.label: lambda: torch.from_numpy(draws.integers(0, config.num_conditions, batch)),
        Conditioning.vector: lambda: torch.from_numpy(
            draws.normal(size=(batch, config.num_conditions)).astype(np.float32)
        ),
        Conditioning.none: lambda: None,
    }[config.conditioning]()
    return levels, condition


def naive_logits(model, levels, condition):
    """Logits (T − receptive field + 1, Q) of one clip: valid convolutions of a one-hot signal, layer by layer."""
    config = model.config
    w = {name: array.astype(np.float64) for name, array in model.to_arrays().items()}

    def convolve(x, taps, dilation):
        length = len(x) - (len(taps) - 1) * dilation
        return sum(x[k * dilation : k * dilation + length] @ tap for k, tap in enumerate(taps))

    x = convolve(np.eye(config.num_levels)[levels], w["input_weight"], 1)
    row = None
    if config.conditioning is Conditioning.label:
        row = w["condition_table"][condition]
    elif config.conditioning is Conditioning.vector:
        row = condition @ w["condition_table"]
    num_outputs = len(levels) - config.receptive_field + 1
    skip = 0
    for i, dilation in enumerate(config.dilations):
        a = convolve(x, w["filter_gate_weight"][i], dilation) + w["filter_gate_bias"][i]
        if row is not None:
            a = a + row @ w["condition_weight"][:, i]
        f, g = np.split(a, 2, axis=1)
        z = np.tanh(f) / (1 + np.exp(-g))
        skip = skip + (z @ w["skip_weight"][i] + w["skip_bias"][i])[-num_outputs:]
        x = x[-len(z) :] + z @ w["residual_weight"][i] + w["residual_bias"][i]
    hidden = np.maximum(np.maximum(skip, 0) @ w["hidden_weight"] + w["hidden_bias"], 0)
    return hidden @ w["output_weight"] + w["output_bias"]


@pytest.fixture(name="random_inputs", scope="session")
def _random_inputs():
    return random_inputs


@pytest.fixture(name="naive_logits", scope="session")
def _naive_logits():
    return naive_logits
