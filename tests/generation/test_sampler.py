"""Claims about drawing one level from logits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wavenet.errors import UsageError
from wavenet.generation.config import SamplingConfig
from wavenet.generation.sampler import Sampler

LARGEST_DRAW = 1 - 2.0**-24


def draw(logits, uniforms, **config):
    logits = torch.as_tensor(np.asarray(logits, np.float32))
    levels = torch.empty(len(logits), 1, dtype=torch.int64)
    uniforms = torch.as_tensor(np.asarray(uniforms, np.float32))[:, None]
    Sampler(SamplingConfig(**config), logits).draw(logits.clone(), uniforms, levels)
    return levels[:, 0].numpy()


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.5, LARGEST_DRAW]), st.integers(2, 256))
def test_only_levels_of_positive_probability_are_drawn_even_by_the_extreme_draws(seed, uniform, num_levels):
    logits = np.random.default_rng(seed).normal(0, 60, (3, num_levels)).astype(np.float32)
    levels = draw(logits, [uniform] * 3)
    probabilities = torch.softmax(torch.from_numpy(logits).double(), 1).numpy()
    assert (np.take_along_axis(probabilities, levels[:, None], 1) > 0).all()


def test_levels_come_as_often_as_their_probability_says():
    probabilities = np.array([0.1, 0.0, 0.6, 0.3])
    with np.errstate(divide="ignore"):
        logits = np.tile(np.maximum(np.log(probabilities), -200), (1000, 1))
    levels = draw(logits, (np.arange(1000) + 0.5) / 1000)
    np.testing.assert_array_equal(np.bincount(levels, minlength=4), probabilities * 1000)


def test_a_low_temperature_draws_the_likeliest_level():
    logits = np.random.default_rng(0).normal(size=(50, 256))
    levels = draw(logits, np.linspace(0, LARGEST_DRAW, 50), temperature=1e-3)
    np.testing.assert_array_equal(levels, logits.argmax(1))


def test_top_k_draws_among_the_k_likeliest():
    logits = np.tile(np.log([0.1, 0.2, 0.3, 0.4]), (100, 1))
    levels = draw(logits, np.linspace(0, LARGEST_DRAW, 100), top_k=2)
    assert set(levels) == {2, 3}
    assert 40 <= (levels == 2).sum() <= 45


@pytest.mark.parametrize(("share", "expected"), [(0.4, {3}), (0.42, {2, 3}), (0.85, {1, 2, 3}), (1.0, {0, 1, 2, 3})])
def test_top_p_draws_among_the_fewest_levels_that_hold_the_share(share, expected):
    logits = np.tile(np.log([0.1, 0.2, 0.29, 0.41]), (100, 1))
    levels = draw(logits, np.linspace(0, LARGEST_DRAW, 100), top_p=share)
    assert set(levels) == expected


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"temperature": 0.0}, "temperature must be a number above 0, got 0.0"),
        ({"temperature": float("nan")}, "temperature must be a number above 0, got nan"),
        ({"top_k": -1}, "top_k must be at least 1, or 0 for all levels, got -1"),
        ({"top_p": 1.5}, "top_p must be above 0 and at most 1, got 1.5"),
    ],
)
def test_a_setting_that_draws_nothing_is_refused(values, words):
    with pytest.raises(UsageError, match=words):
        SamplingConfig(**values)
