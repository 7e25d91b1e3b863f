"""Claims about the native kernel: it is the network, and neither batch nor threads nor restarts change a bit of it."""

from __future__ import annotations

import contextlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.generation.native import (
    FIXED,
    LIBRARY,
    ROUNDING,
    VARIANTS,
    configs,
    divergence,
    kernel,
    random_arrays,
    requests,
    started,
)
from wavenet.errors import MismatchError, NumericsError, UsageError
from wavenet.generation.config import SamplingConfig, Variant
from wavenet.generation.generate import condition_tensor
from wavenet.generation.native.batch import Crew, Faster, generate_levels
from wavenet.generation.native.packing import PackedModel
from wavenet.generation.native.rounding import as_rounded, rounded, rounded_for_exact_sums
from wavenet.generation.native.streams import new_streams
from wavenet.generation.sampler import Sampler
from wavenet.generation.streams import StreamRequest, left_padded
from wavenet.model.config import ModelConfig
from wavenet.model.network import WaveNet

pytestmark = pytest.mark.skipif(LIBRARY is None, reason="the kernel is not built: there is no C++ compiler")
SAMPLED = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
each_variant = pytest.mark.parametrize("variant", VARIANTS + ROUNDING + FIXED)
SMALL = ModelConfig(layers_per_stack=4, residual_channels=20, dilation_channels=12, num_conditions=3)
samplings = st.builds(
    SamplingConfig,
    temperature=st.sampled_from([1.0, 0.5, 0.9, 2.0, 1e-3]),
    top_k=st.sampled_from([0, 1, 3, 100, 300]),
    top_p=st.sampled_from([1.0, 0.9, 0.5, 1e-6]),
)


def torch_logits(config, arrays, request, levels):
    """Of torch's full pass, before each of ``levels`` was known."""
    model = WaveNet(config)
    model.load_arrays(arrays)
    past = left_padded(
        np.asarray([] if request.priming is None else request.priming), config.receptive_field, config.silence_level
    )
    with torch.inference_mode():
        condition = condition_tensor(model, [request.condition])
        return model(torch.from_numpy(np.concatenate([past, levels[:-1]]))[None], condition)[0].numpy()


def computed_with(variant, arrays):
    """The weights that a variant's numbers stand for."""
    return as_rounded(arrays) if variant in ROUNDING else arrays


@pytest.mark.parametrize(
    ("variant", "tolerance"), [(each, 2e-5) for each in VARIANTS + ROUNDING] + [(each, 5e-3) for each in FIXED]
)
@SAMPLED
@given(configs(), st.integers(0, 999))
def test_logits_are_those_of_torch(variant, tolerance, config, seed):
    """Teacher-forced, 250 samples of each of 40 networks: 10,000, within float32 rounding of sums of such length.

    Where weights are rounded, torch gets the values that they are rounded to. In fixed point inputs are rounded,
    too: to a part in eight thousand of the largest.
    """
    arrays = random_arrays(config, seed)
    (request,) = requests(config, 1, seed)
    levels = np.random.default_rng(seed).integers(0, config.num_levels, 250)
    native = kernel(variant, config, arrays)
    (stream,) = started(native, [request], 1)
    found = native.force(stream, levels, with_logits=True)
    expected = torch_logits(config, computed_with(variant, arrays), request, levels)
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * np.abs(expected).max())


@each_variant
@SAMPLED
@given(configs(), st.integers(0, 999), samplings)
def test_equal_logits_give_equal_draws(variant, config, seed, sampling):
    """The levels drawn are those that torch's sampler draws from the kernel's own logits."""
    native = kernel(variant, config, random_arrays(config, seed))
    (request,) = requests(config, 1, seed)
    (stream, copy) = started(native, [request, request], 100)
    native.draw([stream], 100, sampling)
    logits = native.force(copy, stream.levels, with_logits=True)
    drawn = torch.empty(100, 1, dtype=torch.int64)
    uniforms = torch.from_numpy(request.draws(0, 100))[:, None]
    Sampler(sampling, torch.from_numpy(logits)).draw(torch.from_numpy(logits), uniforms, drawn)
    np.testing.assert_array_equal(stream.levels, drawn[:, 0].numpy())


@each_variant
@SAMPLED
@given(configs(), st.integers(2, 40), st.integers(0, 999), st.data())
def test_a_stream_does_not_depend_on_what_else_is_in_the_batch(variant, config, num_streams, seed, data):
    """Bitwise: alone, among others, in whatever pieces of time, on threads, and taken over by another process."""
    native = kernel(variant, config, random_arrays(config, seed))
    asked = list(requests(config, num_streams, seed))
    together = started(native, asked, 30)
    native.draw(together, 30, SamplingConfig())
    apart = started(native, asked, 30)
    done = 0
    for pause in [*sorted(data.draw(st.sets(st.integers(1, 29), max_size=3))), 30]:
        cut = data.draw(st.integers(0, num_streams))
        with ThreadPoolExecutor(2) as pool:
            for future in [
                pool.submit(native.draw, part, pause - done, SamplingConfig())
                for part in (apart[:cut], apart[cut:])
                if part
            ]:
                future.result()
        done = pause
        apart = [taken_over(native, stream) for stream in apart]
    alone = data.draw(st.integers(0, num_streams - 1))
    (single,) = started(native, [asked[alone]], 30)
    native.draw([single], 30, SamplingConfig())
    np.testing.assert_array_equal(single.to_arrays()["rings"], together[alone].to_arrays()["rings"])
    for one, other in zip(together, apart, strict=True):
        for name, array in one.to_arrays().items():
            np.testing.assert_array_equal(array, other.to_arrays()[name])


@each_variant
@SAMPLED
@given(configs(), st.integers(1, 3), st.integers(2, 5), st.integers(0, 999))
def test_threads_that_share_a_stream_change_no_bit(variant, config, num_streams, size, seed):
    """Each computes some outputs of the same products, however many that leaves for one."""
    native = kernel(variant, config, random_arrays(config, seed))
    asked = list(requests(config, num_streams, seed))
    alone, shared = (started(native, asked, 20) for _ in range(2))
    native.draw(alone, 20, SamplingConfig())
    team = native.team(size)
    with ThreadPoolExecutor(size - 1) as pool:
        others = [pool.submit(team.help, number) for number in range(1, size)]
        native.draw(shared, 20, SamplingConfig(), team)
        for other in others:
            other.result()
    for one, other in zip(alone, shared, strict=True):
        for name, array in one.to_arrays().items():
            np.testing.assert_array_equal(array, other.to_arrays()[name])


def test_a_team_is_dismissed_when_nothing_can_be_drawn():
    """Or its other threads would wait for ever."""
    native = kernel(VARIANTS[0], SMALL, random_arrays(SMALL, 0))
    streams, team = started(native, [StreamRequest(0, 0, 0)], 5), native.team(2)
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(team.help, 1)
        with pytest.raises(ValueError, match="fewer than 6 levels left"):
            native.draw(streams, 6, SamplingConfig(), team)
        assert other.result(timeout=60) is None


class _Full(ThreadPoolExecutor):
    """As where a user may have so many threads and no more."""

    def __init__(self, num_threads):
        super().__init__(num_threads)
        self.num_left = num_threads

    def submit(self, *work):
        if self.num_left == 0:
            raise RuntimeError("can't start new thread")
        self.num_left -= 1
        return super().submit(*work)


@pytest.mark.parametrize("num_threads", [1, 2, 3])
@pytest.mark.timeout(60)
def test_where_no_thread_can_be_started_nobody_waits_for_ever(num_threads):
    """Two streams by two threads each take three others; leaving the block waits for those that are there."""
    native = kernel(VARIANTS[0], SMALL, random_arrays(SMALL, 0))
    streams = started(native, [StreamRequest(0, 0, number) for number in range(2)], 5)
    outcome = pytest.raises(RuntimeError, match="new thread") if num_threads < 3 else contextlib.nullcontext()
    with _Full(num_threads) as pool, outcome:
        Crew(native, SamplingConfig(), pool).draw([streams[:1], streams[1:]], 5, 2)
    assert [stream.num_drawn for stream in streams] == ([5, 5] if num_threads == 3 else [0, 0])


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
def test_more_threads_than_streams_give_the_same_levels(threads):
    """They are tried in teams and alone, again and again, whichever is faster."""
    native = kernel(VARIANTS[0], SMALL, random_arrays(SMALL, 0))
    asked = [StreamRequest(0, 0, number) for number in range(2)]
    expected = generate_levels(native, asked, 3000)
    np.testing.assert_array_equal(generate_levels(native, asked, 3000, threads=threads), expected)


@pytest.mark.parametrize("faster", [1, 4])
def test_the_faster_of_both_ways_is_taken_and_the_other_tried_again(faster):
    """Alone or in a team: known from slices of the same streams."""
    chooser, taken = Faster(), Counter()
    for _ in range(200):
        size = chooser.team_size(4)
        taken[size] += 1
        chooser.took(size, 1.0 if size == faster else 2.0)
    assert taken[faster] > 190
    assert taken[5 - faster] >= 4
    assert chooser.team_size(1) == 1


def taken_over(native, stream):
    """The same stream in a new object, as after a restart."""
    (copy,) = new_streams(native.model, [stream.request], len(stream.levels))
    copy.load_arrays(stream.to_arrays())
    return copy


@SAMPLED
@given(configs(), st.integers(0, 999))
def test_variants_agree_to_rounding(config, seed):
    arrays = random_arrays(config, seed)
    (request,) = requests(config, 1, seed)
    levels = np.random.default_rng(seed).integers(0, config.num_levels, 60)
    found = []
    for variant in VARIANTS:
        native = kernel(variant, config, arrays)
        (stream,) = started(native, [request], 1)
        found.append(native.force(stream, levels, with_logits=True))
    for logits in found[1:]:
        np.testing.assert_allclose(logits, found[0], rtol=0, atol=2e-5 * np.abs(found[0]).max())


def forced_logits(native, request, levels):
    (stream,) = started(native, [request], 1)
    return native.force(stream, levels, with_logits=True)


@pytest.mark.parametrize("rounding", ROUNDING)
@SAMPLED
@given(configs(), st.integers(0, 999))
def test_integers_are_computed_with_as_if_they_were_the_weights_that_they_stand_for(rounding, config, seed):
    """Bitwise: their scales are powers of two."""
    arrays = random_arrays(config, seed)
    (request,) = requests(config, 1, seed)
    levels = np.random.default_rng(seed).integers(0, config.num_levels, 60)
    exact = kernel(Variant(rounding).instructions, config, as_rounded(arrays))
    np.testing.assert_array_equal(
        forced_logits(kernel(rounding, config, arrays), request, levels), forced_logits(exact, request, levels)
    )


@pytest.mark.skipif(len(FIXED) < 2, reason="this processor has no two variants in fixed point")
@SAMPLED
@given(configs(), st.integers(0, 999), st.integers(1, 20))
def test_variants_in_fixed_point_are_one_arithmetic(config, seed, num_streams):
    """Bitwise: sums of integers are exact, whatever instruction adds them."""
    arrays, asked = random_arrays(config, seed), list(requests(config, num_streams, seed))
    one, *others = (generate_levels(kernel(name, config, arrays), asked, 40) for name in FIXED)
    for other in others:
        np.testing.assert_array_equal(other, one)


@pytest.mark.parametrize("size", [0, 1e-40, 1e-30, 1e-3, 4])
@pytest.mark.parametrize("variant", FIXED)
def test_inputs_of_any_size_are_rounded_by_their_largest(variant, size):
    """Zeros, denormal numbers and larger ones: logits are those of float32, to a part in a thousand."""
    arrays = random_arrays(SMALL, 0)
    arrays["input_weight"] *= np.float32(size)
    levels, request = np.random.default_rng(0).integers(0, 256, 100), StreamRequest(0, 0, 0)
    found, expected = (forced_logits(kernel(name, SMALL, arrays), request, levels) for name in (variant, VARIANTS[0]))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3 * np.abs(expected).max())


@pytest.mark.parametrize("variant", FIXED)
def test_no_sum_in_fixed_point_leaves_its_32_bits(variant):
    """The worst case: every input the largest and every weight too, just below a power of two; it would change sign."""
    config = ModelConfig(layers_per_stack=1, residual_channels=2, dilation_channels=2, skip_channels=300)
    arrays = random_arrays(config, 0)
    for name, value in {
        "skip_weight": 0,
        "skip_bias": 1.9999,
        "hidden_weight": 0.9995,
        "output_weight": 0.9995,
    }.items():
        arrays[name][...] = value
    levels, request = np.zeros(5, np.int64), StreamRequest(0, 0, 0)
    found, expected = (forced_logits(kernel(name, config, arrays), request, levels) for name in (variant, VARIANTS[0]))
    np.testing.assert_allclose(found, expected, rtol=1e-3)


@given(st.integers(1, 400), st.integers(1, 20), st.integers(0, 999), st.floats(1e-20, 1e30))
def test_weights_in_fixed_point_leave_room_for_the_largest_inputs(num_inputs, num_outputs, seed, size):
    """So that 128 of them, each times 2^13, stay within 32 bits; and they are as exact as that allows."""
    weights = (np.random.default_rng(seed).normal(size=(num_inputs, num_outputs)) * size).astype(np.float32)
    integers, scales = rounded_for_exact_sums(weights)
    for first in range(0, num_inputs, 128):
        assert np.abs(integers[first : first + 128].astype(np.int64)).sum(0).max() * 2**13 < 2**31
    assert (np.abs(integers * scales.astype(np.float64) - weights) <= scales / 2).all()
    largest = np.add.reduceat(np.abs(weights.astype(np.float64)), range(0, num_inputs, 128)).max(0)
    assert (scales <= np.maximum(largest / 2**17, np.abs(weights).max(0) / 2**13)).all()


@pytest.mark.parametrize(
    ("rounding", "mean", "worst"), [(each, 1e-7, 1e-5) for each in ROUNDING] + [(each, 1e-6, 1e-5) for each in FIXED]
)
def test_rounding_hardly_changes_the_distribution(rounding, mean, worst):
    """Of a clip of 30 s, half a million samples, by less than one bit in all; trained weights are in the benchmarks."""
    arrays = random_arrays(SMALL, 0)
    request, levels = StreamRequest(0, 0, 0), np.random.default_rng(0).integers(0, 256, 2000)
    found, expected = (forced_logits(kernel(name, SMALL, arrays), request, levels) for name in (rounding, VARIANTS[0]))
    divergences = divergence(expected, found)
    assert 0 < divergences.mean() < mean
    assert divergences.max() < worst


@given(st.integers(1, 50), st.integers(1, 20), st.integers(0, 999), st.floats(1e-20, 1e30))
def test_a_rounded_weight_is_off_by_a_16_bits_share_of_its_outputs_largest(num_inputs, num_outputs, seed, size):
    weights = (np.random.default_rng(seed).normal(size=(num_inputs, num_outputs)) * size).astype(np.float32)
    integers, scales = rounded(weights)
    assert np.abs(integers).max() <= 32767
    assert (np.frexp(scales)[0] == 0.5).all()
    off = np.abs(integers * scales.astype(np.float64) - weights)
    assert (off <= np.abs(weights).max(0) / 32767).all()


@pytest.mark.parametrize("variant", VARIANTS + ROUNDING)
def test_extreme_activations_saturate_the_gate(variant):
    """A network whose filters and gates are driven to ±1000 is that of torch, and holds no NaN."""
    arrays = random_arrays(SMALL, 0)
    arrays["filter_gate_weight"] *= 1000
    levels = np.random.default_rng(0).integers(0, 256, 100)
    native, request = kernel(variant, SMALL, arrays), StreamRequest(0, 0, 0)
    (stream,) = started(native, [request], 1)
    found = native.force(stream, levels, with_logits=True)
    expected = torch_logits(SMALL, computed_with(variant, arrays), request, levels)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("condition", [3, -1, None, 0.5])
def test_a_condition_that_the_model_does_not_know_is_refused(condition):
    model = PackedModel(SMALL, random_arrays(SMALL, 0))
    with pytest.raises(UsageError, match="class id from 0 to 2"):
        new_streams(model, [StreamRequest(condition, 0, 0)], 1)


def test_weights_of_another_shape_are_refused_by_name():
    arrays = random_arrays(SMALL, 0)
    arrays["skip_weight"] = arrays["skip_weight"][:, :-1]
    with pytest.raises(MismatchError, match="'skip_weight' must have shape"):
        PackedModel(SMALL, arrays)


def test_weights_that_are_not_finite_are_refused_by_name():
    arrays = random_arrays(SMALL, 0)
    arrays["hidden_bias"][3] = np.nan
    with pytest.raises(NumericsError, match="'hidden_bias' hold a value that is not a finite number"):
        PackedModel(SMALL, arrays)


def test_a_state_of_another_model_is_refused():
    native = kernel(VARIANTS[0], SMALL, random_arrays(SMALL, 0))
    wider = ModelConfig(layers_per_stack=4, residual_channels=21, dilation_channels=12, num_conditions=3)
    request = StreamRequest(0, 0, 0)
    (other,) = new_streams(PackedModel(wider, random_arrays(wider, 0)), [request], 5)
    (stream,) = new_streams(native.model, [request], 5)
    with pytest.raises(ValueError, match="another model"):
        other.load_arrays(stream.to_arrays())
