"""Claims about the network: it computes the definition, from weights that the seed alone decides."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from wavenet.errors import MismatchError
from wavenet.model.config import Conditioning, ModelConfig
from wavenet.model.network import WaveNet, initial_arrays

REFERENCE = ModelConfig(
    num_stacks=5, layers_per_stack=10, residual_channels=32, dilation_channels=32, skip_channels=512, num_conditions=5
)


def gradients(model, levels, condition, **kwargs):
    model.zero_grad()
    logits = model(levels[:, :-1], condition, **kwargs)
    F.cross_entropy(logits.flatten(0, 1), levels[:, -logits.shape[1] :].flatten()).backward()
    return {name: weight.grad.clone() for name, weight in model.named_parameters()}


@settings(max_examples=40, deadline=None)
@given(data=st.data(), batch=st.integers(1, 3), more=st.integers(0, 9))
def test_logits_follow_the_definition_of_every_configuration(
    data, batch, more, small_configs, random_model, random_inputs, naive_logits
):
    config = data.draw(small_configs)
    model = random_model(config)
    levels, condition = random_inputs(config, batch, config.receptive_field + more)
    logits = model(levels, condition).detach().numpy()
    assert logits.shape == (batch, more + 1, config.num_levels)
    assert logits.dtype == np.float32
    for index in range(batch):
        expected = naive_logits(model, levels[index].numpy(), None if condition is None else condition[index].numpy())
        np.testing.assert_allclose(logits[index], expected, rtol=1e-4, atol=1e-4)


def test_an_output_depends_on_exactly_the_receptive_field(random_model, random_inputs):
    config = ModelConfig(num_stacks=2, layers_per_stack=3, num_levels=8)
    model = random_model(config)
    (levels, condition), field = random_inputs(config, 1, config.receptive_field + 1), config.receptive_field
    changed = levels.clone()
    changed[0, 0] = (changed[0, 0] + 1) % 8
    before, after = model(levels, condition), model(changed, condition)
    assert before.shape[1] == levels.shape[1] - field + 1 == 2
    assert not torch.equal(before[0, 0], after[0, 0])
    assert torch.equal(before[0, 1], after[0, 1])


def test_asking_for_the_last_outputs_gives_the_last_outputs(random_model, random_inputs):
    config = ModelConfig(num_stacks=2, layers_per_stack=3)
    model = random_model(config)
    levels, condition = random_inputs(config, 2, 40)
    torch.testing.assert_close(model(levels, condition, num_outputs=5), model(levels, condition)[:, -5:])
    with pytest.raises(ValueError, match="num_outputs must be from 1 to 25 for 40 levels, got 26"):
        model(levels, condition, num_outputs=26)


@pytest.mark.parametrize("num_threads", [1, 2])
def test_recomputing_gives_bitwise_equal_gradients(num_threads, random_model, random_inputs):
    torch.set_num_threads(num_threads)
    config = ModelConfig(num_stacks=3, layers_per_stack=6, num_conditions=3)
    model = random_model(config)
    levels, condition = random_inputs(config, 2, config.receptive_field + 200)
    kept = gradients(model, levels, condition)
    model.recompute = True
    recomputed = gradients(model, levels, condition)
    assert all(torch.equal(kept[name], recomputed[name]) for name in kept)


def test_training_twice_with_two_threads_gives_bitwise_equal_gradients(random_model, random_inputs):
    torch.set_num_threads(2)
    torch.use_deterministic_algorithms(True)
    try:
        config = ModelConfig(num_conditions=3)
        model = random_model(config)
        levels, condition = random_inputs(config, 3, config.receptive_field + 300)
        first, second = (gradients(model, levels, condition) for _ in range(2))
        assert all(torch.equal(first[name], second[name]) for name in first)
    finally:
        torch.use_deterministic_algorithms(False)


def test_the_last_residual_product_gets_no_gradient(random_model, random_inputs):
    config = ModelConfig(num_stacks=2, layers_per_stack=3)
    levels, condition = random_inputs(config, 2, 60)
    found = gradients(random_model(config), levels, condition)
    for name in ("residual_weight", "residual_bias"):
        assert not found[name][-1].any()
        assert all(layer.any() for layer in found[name][:-1])


def test_bfloat16_products_leave_float32_logits_close(random_inputs):
    config = ModelConfig(num_conditions=3)
    model = WaveNet(config)
    model.initialise(1)
    levels, condition = random_inputs(config, 2, config.receptive_field + 50)
    exact = model(levels, condition)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = model(levels, condition)
    assert rounded.dtype == torch.float32
    assert not torch.equal(rounded, exact)
    torch.testing.assert_close(rounded, exact, rtol=0.05, atol=0.05)


def test_the_reference_has_1618528_parameters():
    assert sum(weight.numel() for weight in WaveNet(REFERENCE).parameters()) == 1_618_528


def test_initial_weights_depend_on_the_seed_alone():
    torch.manual_seed(1)
    one = WaveNet(ModelConfig())
    one.initialise(7)
    torch.manual_seed(2)
    same, other = WaveNet(ModelConfig()), WaveNet(ModelConfig())
    same.initialise(7)
    other.initialise(8)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), same.parameters(), strict=True))
    assert not torch.equal(one.output_weight, other.output_weight)


def test_initial_weights_follow_glorot_with_fans_that_count_the_kernel_width():
    arrays = initial_arrays(REFERENCE, 0)
    for name, limit in {
        "input_weight": np.sqrt(6 / (2 * 256 + 2 * 32)),
        "filter_gate_weight": np.sqrt(6 / (2 * 32 + 2 * 32)),
        "condition_weight": np.sqrt(6 / (32 + 32)),
        "skip_weight": np.sqrt(6 / (32 + 512)),
        "output_weight": np.sqrt(6 / (512 + 256)),
    }.items():
        assert 0.99 * limit < np.abs(arrays[name]).max() <= limit
        assert np.abs(arrays[name].mean()) < 0.02 * limit
    assert not any(array.any() for name, array in arrays.items() if name.endswith("bias"))


def test_a_square_condition_table_starts_as_the_identity():
    arrays = initial_arrays(ModelConfig(num_conditions=32), 0)
    np.testing.assert_array_equal(arrays["condition_table"], np.eye(32))


def test_arrays_carry_a_model_over_bitwise(random_model, random_inputs):
    model, copy = random_model(ModelConfig()), WaveNet(ModelConfig())
    copy.load_arrays(model.to_arrays())
    levels, condition = random_inputs(ModelConfig(), 1, 600)
    assert torch.equal(model(levels, condition), copy(levels, condition))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda a: a | {"extra": a["skip_bias"]}, "array 'extra' that this model does not have"),
        (lambda a: {n: v for n, v in a.items() if n != "hidden_bias"}, "lack the array 'hidden_bias'"),
        (lambda a: a | {"skip_weight": a["skip_weight"][1:]}, "'skip_weight' must have shape"),
    ],
)
def test_weights_of_another_architecture_are_refused_by_the_arrays_name(change, words):
    model = WaveNet(ModelConfig())
    model.initialise(0)
    with pytest.raises(MismatchError, match=words):
        model.load_arrays(change(model.to_arrays()))


def test_a_conditioned_model_refuses_to_run_without_its_condition():
    model = WaveNet(ModelConfig(conditioning=Conditioning.vector, num_conditions=3))
    with pytest.raises(ValueError, match="conditioned by vector needs one condition per clip"):
        model(torch.zeros(1, 512, dtype=torch.int64), None)
