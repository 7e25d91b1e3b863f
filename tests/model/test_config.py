"""Claims about the network's shape."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavenet.errors import InputError, UsageError
from wavenet.model.config import Conditioning, ModelConfig


def reference_config():
    return ModelConfig(num_stacks=5, layers_per_stack=10, residual_channels=32, dilation_channels=32,
                       skip_channels=512, num_conditions=5)  # fmt: skip


def test_the_reference_has_a_receptive_field_of_5117():
    config = reference_config()
    assert config.receptive_field == 5117
    assert config.dilations[:11] == (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1)
    assert config.num_layers == 50


def test_the_tiny_preset_is_the_default_and_sees_512_samples():
    assert ModelConfig().receptive_field == 512


@given(st.integers(2, 3), st.integers(1, 3), st.integers(1, 5))
def test_the_receptive_field_is_one_more_than_all_taps_reach_back(kernel_size, num_stacks, layers_per_stack):
    config = ModelConfig(kernel_size=kernel_size, num_stacks=num_stacks, layers_per_stack=layers_per_stack)
    oldest = 0
    for dilation in (1, *config.dilations):
        oldest += (kernel_size - 1) * dilation
    assert config.receptive_field == oldest + 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kernel_size": 4}, "kernel_size must be 2 or 3, got 4"),
        ({"skip_channels": 0}, "skip_channels must be at least 1, got 0"),
        ({"num_levels": 257}, "num_levels must be from 2 to 256"),
        ({"layers_per_stack": 21}, "layers_per_stack must be at most 20"),
        ({"num_conditions": 0}, "num_conditions must be at least 1"),
        ({"conditioning": Conditioning.none, "num_conditions": 3}, "num_conditions must be 0"),
    ],
)
def test_a_shape_that_makes_no_network_is_refused_by_key_rule_and_value(changes, words):
    with pytest.raises(UsageError, match=words):
        ModelConfig(**changes)


def test_a_configuration_survives_json():
    config = ModelConfig(conditioning=Conditioning.vector, num_conditions=7)
    assert ModelConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d | {"skip_chanels": 3}, "unknown key 'skip_chanels'; did you mean 'skip_channels'"),
        (lambda d: {k: v for k, v in d.items() if k != "num_levels"}, "lacks the key 'num_levels'"),
        (lambda d: d | {"conditioning": "mood"}, "one of label, vector, none, found 'mood'"),
        (lambda d: d | {"num_stacks": "two"}, "num_stacks must be an integer, found 'two'"),
    ],
)
def test_a_foreign_configuration_is_refused_in_one_sentence(change, words):
    with pytest.raises(InputError, match=words):
        ModelConfig.from_dict(change(ModelConfig().to_dict()))
