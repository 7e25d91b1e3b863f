"""Claims about generation sample by sample: it is the full forward pass, faster."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.benchmarks.textbook import TextbookNetwork
from wavenet.errors import NumericsError, UsageError
from wavenet.generation.config import SamplingConfig
from wavenet.generation.generate import generate_levels
from wavenet.generation.incremental import IncrementalNetwork
from wavenet.generation.streams import StreamRequest, left_padded
from wavenet.model.config import ModelConfig
from wavenet.seeds import stream_key, uniform

from .conditions import conditions


@settings(max_examples=40, deadline=None)
@given(data=st.data(), num_streams=st.integers(1, 4), num_samples=st.integers(1, 40), seed=st.integers(0, 99))
def test_each_step_gives_the_logits_of_the_full_pass(data, num_streams, num_samples, seed, small_configs, random_model):
    """For every kind of network, with some streams primed by levels and the others by silence."""
    config, draws = data.draw(small_configs), np.random.default_rng(seed)
    model, condition = random_model(config, seed), conditions(config, num_streams, draws)
    field = config.receptive_field
    levels = torch.from_numpy(draws.integers(0, config.num_levels, (field + num_samples, num_streams)))
    primed = torch.from_numpy(np.flatnonzero(draws.integers(0, 2, num_streams)))
    silent_streams = [index for index in range(num_streams) if index not in primed]
    levels[: field - 1, silent_streams] = config.silence_level
    with torch.inference_mode():
        network = IncrementalNetwork(model, condition, num_streams)
        if len(primed):
            network.prime(levels[: field - 1, primed], primed)
        steps = torch.stack([network.step(level).clone() for level in levels[field - 1 :]], dim=1)
        expected = model(levels.t(), condition)
    torch.testing.assert_close(steps, expected, rtol=1e-4, atol=1e-4)


@settings(max_examples=20, deadline=None)
@given(data=st.data(), seed=st.integers(0, 99))
def test_each_step_gives_the_logits_of_the_textbook(data, seed, small_configs, random_model):
    """An implementation of its own, with which benchmarks compare."""
    config, draws = data.draw(small_configs), np.random.default_rng(seed)
    model, condition = random_model(config, seed), conditions(config, 1, draws)
    levels = torch.from_numpy(draws.integers(0, config.num_levels, (config.receptive_field + 20, 1)))
    with torch.inference_mode():
        network, textbook = IncrementalNetwork(model, condition, 1), TextbookNetwork(model, condition)
        found, expected = (
            torch.stack([step(level).clone() for level in levels]) for step in (network.step, textbook.step)
        )
    torch.testing.assert_close(found[-20:], expected[-20:], rtol=1e-4, atol=1e-4)


def forward_levels(model, stream, num_samples, temperature):
    """Levels drawn one by one from full forward passes over everything so far."""
    config, condition = model.config, torch.tensor([stream.condition])
    start = [] if stream.priming is None else stream.priming
    levels = list(left_padded(np.asarray(start), config.receptive_field, config.silence_level))
    for sample in range(num_samples):
        with torch.inference_mode():
            logits = model(torch.tensor([levels[-config.receptive_field :]]), condition)[0, 0]
        cumulative = torch.cumsum(torch.softmax(logits.double() / temperature, 0), 0).numpy()
        draw = uniform(stream_key(stream.seed, "generation"), low=sample, high=stream.stream)
        levels.append(int(np.sum(cumulative <= draw * cumulative[-1])))
    return levels[config.receptive_field :]


def test_incremental_generation_gives_the_levels_of_full_forward_passes(random_model):
    """Under the same draws, from silence, from a short and from a long excerpt."""
    model = random_model(ModelConfig(layers_per_stack=5, residual_channels=8, dilation_channels=8, num_conditions=3))
    excerpt = np.random.default_rng(0).integers(0, 256, 100).astype(np.uint8)
    streams = [
        StreamRequest(condition=0, seed=7, stream=0),
        StreamRequest(condition=1, seed=7, stream=5, priming=excerpt[:20]),
        StreamRequest(condition=2, seed=8, stream=2**40, priming=excerpt),
    ]
    generated = generate_levels(model, streams, 150, SamplingConfig(temperature=0.8))
    for levels, stream in zip(generated, streams, strict=True):
        np.testing.assert_array_equal(levels, forward_levels(model, stream, 150, 0.8))


def test_generating_again_gives_the_same_levels(random_model):
    model = random_model(ModelConfig(num_conditions=2))
    streams = [StreamRequest(condition=index % 2, seed=7, stream=index) for index in range(4)]
    first, second = (generate_levels(model, streams, 200) for _ in range(2))
    assert first.dtype == np.uint8
    assert first.shape == (4, 200)
    np.testing.assert_array_equal(first, second)


def test_a_longer_clip_begins_with_the_shorter_one(random_model):
    model = random_model(ModelConfig(num_conditions=2))
    streams = [StreamRequest(condition=0, seed=7, stream=3)]
    longer = generate_levels(model, streams, 2100)
    np.testing.assert_array_equal(longer[:, :100], generate_levels(model, streams, 100))


def test_streams_differ_by_their_number_and_by_their_seed(random_model):
    model = random_model(ModelConfig())
    streams = [StreamRequest(0, 7, 0), StreamRequest(0, 7, 1), StreamRequest(0, 8, 0)]
    one, two, three = generate_levels(model, streams, 60)
    assert not np.array_equal(one, two)
    assert not np.array_equal(one, three)


def test_progress_is_told_to_the_end(random_model):
    told = []
    generate_levels(
        random_model(ModelConfig(layers_per_stack=2)),
        [StreamRequest(0, 7, 0)],
        1030,
        progress=lambda *at: told.append(at),
    )
    assert told == [(512, 1030), (1024, 1030), (1030, 1030)]


@pytest.mark.parametrize("condition", [3, -1, None, 0.5])
def test_a_class_that_the_model_does_not_know_is_refused(condition, random_model):
    with pytest.raises(UsageError, match="class id from 0 to 2"):
        generate_levels(random_model(ModelConfig(num_conditions=3)), [StreamRequest(condition, 7, 0)], 1)


def test_weights_that_are_not_finite_are_refused(random_model):
    model = random_model(ModelConfig())
    with torch.no_grad():
        model.skip_bias[3, 2] = torch.nan
    with pytest.raises(NumericsError, match="'skip_bias' hold a value that is not a finite number"):
        generate_levels(model, [StreamRequest(0, 7, 0)], 1)
