"""Networks and streams for tests of the native kernel."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from wavenet.generation import variants
from wavenet.generation.config import Precision, Variant
from wavenet.generation.native.library import find_library
from wavenet.generation.native.packing import PackedModel
from wavenet.generation.native.streams import Kernel, new_streams
from wavenet.generation.streams import StreamRequest
from wavenet.model.arrays import array_shapes
from wavenet.model.config import Conditioning, ModelConfig

LIBRARY = find_library()
NATIVE = [each for each in variants.runnable() if each is not Variant.torch]
VARIANTS = [each.value for each in NATIVE if each.precision is Precision.float32]
ROUNDING = [each.value for each in NATIVE if each.precision is Precision.int16][:1]
"""The fastest of those that round the weights: all take one path."""
FIXED = [each.value for each in NATIVE if each.precision is Precision.fixed]


@st.composite
def configs(draw, most_levels=256):
    """Networks of every kind, with widths on both sides of whole panels of 16."""
    conditioning = draw(st.sampled_from(Conditioning))
    widths = st.one_of(st.integers(1, 40), st.sampled_from([15, 16, 17, 31, 32, 33]))
    return ModelConfig(
        num_levels=draw(st.integers(2, most_levels)),
        kernel_size=draw(st.sampled_from([2, 3])),
        num_stacks=draw(st.integers(1, 3)),
        layers_per_stack=draw(st.integers(1, 5)),
        residual_channels=draw(widths),
        dilation_channels=draw(widths),
        skip_channels=draw(widths),
        conditioning=conditioning,
        num_conditions=0 if conditioning is Conditioning.none else draw(st.integers(1, 4)),
        condition_channels=draw(st.integers(1, 6)),
    )


def random_arrays(config, seed):
    """Weights whose sums have about the size of a trained network's; biases are random, too."""
    draws = np.random.default_rng(seed)
    arrays = {}
    for name, shape in array_shapes(config).items():
        inputs = np.prod(shape[-2:-1]) if name.endswith("_weight") and name != "input_weight" else 1
        arrays[name] = draws.normal(0, 1 / np.sqrt(inputs), shape).astype(np.float32)
    return arrays


def condition(config, draws):
    """A random condition that the model knows."""
    if config.conditioning is Conditioning.label:
        return int(draws.integers(config.num_conditions))
    if config.conditioning is Conditioning.vector:
        return draws.normal(size=config.num_conditions)
    return None


def requests(config, num_streams, seed):
    """Streams with conditions of their own, some from silence and some from an excerpt, short or long."""
    draws = np.random.default_rng([seed, 1])
    for stream in range(num_streams):
        length = int(draws.integers(0, 2 * config.receptive_field))
        excerpt = draws.integers(0, config.num_levels, length) if draws.integers(2) and length else None
        yield StreamRequest(condition(config, draws), seed, stream, excerpt)


def kernel(variant, config, arrays):
    chosen = Variant(variant)
    return Kernel(LIBRARY, chosen.instructions, PackedModel(config, arrays, chosen.precision))


def started(kernel, requests, num_samples):
    """Streams at their beginning."""
    streams = new_streams(kernel.model, requests, num_samples)
    kernel.start(streams)
    return streams


def log_probabilities(logits):
    """Natural logarithms, of each row."""
    rows = logits.astype(np.float64)
    return rows - np.logaddexp.reduce(rows, 1)[:, np.newaxis]


def divergence(logits, others):
    """Kullback–Leibler divergence of each row's distribution from the other's, in bits."""
    ours, theirs = log_probabilities(logits), log_probabilities(others)
    return (np.exp(ours) * (ours - theirs)).sum(1) / np.log(2)
