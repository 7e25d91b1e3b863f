"""Clips are whole, in order, and never of two recordings."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavenet.audio.clips import ClipsConfig, cut, frame_rms, trim
from wavenet.errors import UsageError


def noise(num_samples, scale=3000, seed=0):
    samples = np.random.default_rng(seed).normal(0, scale, num_samples)
    return np.rint(np.clip(samples, -32768, 32767)).astype(np.int16)


@given(
    recording=st.floats(0, 1000),
    seconds=st.floats(0.5, 200),
    offset=st.floats(0, 100),
    most=st.integers(1, 5),
    shortest=st.floats(0, 300),
)
def test_all_clips_lie_within_the_recording(recording, seconds, offset, most, shortest):
    """However long it is, clips are whole, at most as many as asked for, and end before it does."""
    config = ClipsConfig(seconds, offset, most, shortest)
    number = config.num_clips(recording)
    assert 0 <= number <= most
    if number:
        assert recording >= shortest - 0.05
        assert config.stop_seconds(recording) <= recording + 0.05 + 1e-9
    else:
        assert recording < config.needed_seconds


def test_two_minutes_exactly_are_enough_by_default():
    """A recording one second shorter is not taken, and the first two minutes are."""
    config = ClipsConfig()
    assert config.num_clips(120) == 1
    assert config.num_clips(119) == 0
    assert (config.stop_seconds(600), config.offset_seconds) == (120, 0)


def test_clips_follow_each_other_from_the_offset_on():
    """Their samples are those of the recording, in order and without a gap."""
    samples = noise(10 * 1000)
    config = ClipsConfig(seconds=2, offset_seconds=1.5, per_recording=3, min_recording_seconds=0, sample_rate_hz=1000)
    clips = list(cut(samples, config, config.num_clips(10)))
    assert [clip.offset_seconds for clip in clips] == [1.5, 3.5, 5.5]
    assert np.array_equal(np.concatenate([clip.samples for clip in clips]), samples[1500:7500])


def test_trimming_removes_quiet_ends_and_says_how_much():
    """The loud middle stays whole, and the offset tells where it was."""
    loud = noise(20_000)
    samples = np.concatenate([np.zeros(10_000, np.int16), loud, np.zeros(30_000, np.int16)])
    first, kept = trim(samples, silence_rms=0.01)
    assert 10_000 - 2048 <= first <= 10_000
    assert 20_000 <= kept.size <= 20_000 + 2 * 2048
    assert np.array_equal(kept, samples[first : first + kept.size])


def test_nothing_is_trimmed_by_default():
    """A quiet beginning belongs to the music."""
    samples = np.concatenate([np.zeros(5000, np.int16), noise(100)])
    assert trim(samples, silence_rms=0.0) == (0, pytest.approx(samples))


@pytest.mark.parametrize("silence_rms", [0.0, 0.3])
def test_a_clip_without_sound_leaves_nothing(silence_rms):
    """Zeros, and noise of a few units that the model's levels cannot tell from zeros, are silence."""
    for samples in (np.zeros(4000, np.int16), noise(4000, scale=1)):
        assert trim(samples, silence_rms)[1].size == 0


def test_too_high_a_threshold_leaves_nothing_rather_than_hanging():
    """Music below the reference's threshold of 0.3 is recognised as such."""
    assert trim(noise(50_000), silence_rms=0.3)[1].size == 0


@given(st.integers(1, 6000), st.integers(0, 2**32 - 1))
def test_loudness_equals_its_definition(num_samples, seed):
    """Each value is the root of the mean square of the 2048 samples around it, zeros beyond the ends."""
    samples = noise(num_samples, seed=seed)
    padded = np.pad(samples / 32768.0, 1024, mode="constant")
    frames = [padded[at : at + 2048] for at in range(0, num_samples, 512)]
    assert frame_rms(samples) == pytest.approx([np.sqrt(np.sum(frame**2) / 2048) for frame in frames])


@pytest.mark.parametrize(
    "setting",
    [
        {"seconds": 0},
        {"seconds": float("nan")},
        {"offset_seconds": -1},
        {"per_recording": 0},
        {"min_recording_seconds": -1},
        {"sample_rate_hz": 10},
        {"silence_rms": 1},
    ],
)
def test_a_setting_outside_its_range_is_named(setting):
    """The sentence names the key and the value."""
    ((key, value),) = setting.items()
    with pytest.raises(UsageError, match=rf"clips\.{key} must be .*, got {value}"):
        ClipsConfig(**setting)
