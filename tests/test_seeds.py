"""Random streams are the published function of (seed, name, counter), and independent of each other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavenet import seeds

WORD = st.integers(0, 2**64 - 1)

KNOWN_ANSWERS = [  # Random123 1.14, kat_vectors: counter words, key words, result words
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN_ANSWERS)
def test_philox_gives_the_published_words(counter: str, key: str, expected: str) -> None:
    """The function is Philox4x32-10, so that anybody's implementation can repeat a draw."""
    c, k = ([int(word, 16) for word in words.split()] for words in (counter, key))
    result = seeds.philox(k[0] | k[1] << 32, c[0] | c[1] << 32, c[2] | c[3] << 32)
    assert [f"{word:08x}" for word in result] == expected.split()


@given(WORD, WORD, st.integers(1, 20))
def test_philox_of_many_counters_is_philox_of_each(key: int, high: int, count: int) -> None:
    """A counter's words depend on nothing else in the array."""
    together = seeds.philox(key, np.arange(count), high)
    alone = [seeds.philox(key, index, high) for index in range(count)]
    assert together.shape == (count, 4)
    np.testing.assert_array_equal(together, alone)


def test_counters_broadcast() -> None:
    """Streams × samples come as one table."""
    assert seeds.philox(1, np.arange(5)[:, None], np.arange(3)).shape == (5, 3, 4)


@given(WORD, WORD, WORD)
def test_uniform_lies_in_the_half_open_interval_on_a_grid_of_24_bits(key: int, low: int, high: int) -> None:
    """0 may be drawn, 1 never, and every value is exact in float32."""
    value = seeds.uniform(key, low, high)
    assert value.dtype == np.float32
    assert 0 <= value < 1
    assert float(value) * 2**24 % 1 == 0


def test_the_largest_draw_is_below_one() -> None:
    """24 set bits are the greatest float32 below 1, not 1."""
    assert np.float32(2**24 - 1) * np.float32(2.0**-24) < 1


@given(st.integers(0, 2**63), st.integers(0, 2**63), st.text(max_size=20), st.text(max_size=20))
def test_streams_differ_by_seed_and_by_name(seed: int, other: int, name: str, another: str) -> None:
    """Only the same seed and the same name give the same stream: no sum of the two can collide."""
    is_same = (seed, name) == (other, another)
    assert (seeds.stream_key(seed, name) == seeds.stream_key(other, another)) == is_same


def test_a_key_is_the_same_on_every_machine() -> None:
    """A published value: a change of the hash would change every run."""
    assert seeds.stream_key(7, "generation") == 11437681562012359989


def test_uniform_is_uniform_and_streams_are_uncorrelated() -> None:
    """2^16 draws fill 64 bins as chance would (chi-square within 6 sigma); neighbouring streams are unrelated."""
    count = 1 << 16
    draws = [seeds.uniform(seeds.stream_key(1, "a"), np.arange(count), stream) for stream in (0, 1)]
    draws.append(seeds.uniform(seeds.stream_key(2, "a"), np.arange(count)))
    draws.append(seeds.uniform(seeds.stream_key(1, "b"), np.arange(count)))
    for values in draws:
        bins = np.bincount((values * 64).astype(int), minlength=64)
        chi_square = float(((bins - count / 64) ** 2 / (count / 64)).sum())
        assert abs(chi_square - 63) < 6 * np.sqrt(2 * 63)
    correlations = np.corrcoef(np.stack(draws)) - np.eye(len(draws))
    assert np.abs(correlations).max() < 6 / np.sqrt(count)


def test_generators_repeat_and_differ_by_name() -> None:
    """Bulk draws depend on seed and name alone."""
    first, again = (seeds.generator(3, "weights").standard_normal(8) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, seeds.generator(3, "music").standard_normal(8))
    assert not np.array_equal(first, seeds.generator(4, "weights").standard_normal(8))
