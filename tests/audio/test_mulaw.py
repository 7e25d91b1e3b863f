"""Levels and samples correspond as in the reference program."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavenet.audio import mulaw

REFERENCE = Path(__file__).parents[1] / "data" / "tf-checkpoint" / "expected-50.npz"


@pytest.fixture(scope="module")
def reference():
    with np.load(REFERENCE) as arrays:
        return dict(arrays)


def test_levels_equal_those_of_the_reference_program(reference):
    """Every level of its table and of its waveform is met exactly."""
    assert np.array_equal(mulaw.encode(reference["mulaw_x"]), reference["mulaw_levels"])
    assert np.array_equal(mulaw.encode(reference["waveform"]), reference["levels"])


def test_decoded_samples_equal_those_of_the_reference_program(reference):
    """All 256 decoded samples are bitwise equal."""
    decoded = mulaw.decode(np.arange(256))
    assert decoded.dtype == np.float32
    assert decoded.tobytes() == reference["mulaw_decode"].tobytes()


def test_encoding_undoes_decoding():
    """No level drifts, however often audio goes there and back."""
    levels = np.arange(mulaw.NUM_LEVELS)
    assert np.array_equal(mulaw.encode(mulaw.decode(levels)), levels)


@given(st.floats(-1, 1, width=32), st.floats(-1, 1, width=32))
def test_a_larger_sample_never_has_a_smaller_level(one, other):
    """Companding is monotonic."""
    low, high = sorted((one, other))
    assert mulaw.encode(low) <= mulaw.encode(high)


@given(st.floats(-1e6, 1e6, width=32))
def test_samples_outside_the_range_saturate(sample):
    """They never wrap."""
    assert mulaw.encode(sample) == mulaw.encode(np.clip(sample, -1, 1))


def test_both_zeros_have_the_level_of_silence():
    """Minus zero is silence too."""
    assert mulaw.encode([0.0, -0.0]).tolist() == [mulaw.SILENCE, mulaw.SILENCE]


def test_all_16_bit_samples_have_the_level_of_their_float_value():
    """The table is the formula."""
    samples = np.arange(-32768, 32768).astype(np.int16)
    assert np.array_equal(mulaw.encode_int16(samples), mulaw.encode(samples / np.float32(32768)))


def test_the_silent_peak_is_the_largest_that_stays_in_the_two_middle_levels():
    """One more would be heard by the model."""
    peak = mulaw.SILENT_PEAK
    assert set(mulaw.encode_int16(np.arange(-peak, peak + 1, dtype=np.int16))) == {127, 128}
    assert set(mulaw.encode_int16(np.array([-peak - 1, peak + 1], np.int16))).isdisjoint({127, 128})
