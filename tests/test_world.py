"""Shares of a plan are disjoint and complete."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavenet.world import World


@given(st.integers(1, 17), st.integers(0, 200))
def test_shares_partition_the_plan(size: int, num_items: int) -> None:
    """Every item is some worker's, none is two workers', and shares differ by one item at most."""
    shares = [World(rank, size).share(num_items) for rank in range(size)]
    assert sorted(index for share in shares for index in share) == list(range(num_items))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize(("rank", "size"), [(-1, 1), (1, 1), (0, 0), (4, 3)])
def test_a_rank_outside_its_world_is_refused(rank: int, size: int) -> None:
    """The message gives the rule and both values."""
    with pytest.raises(ValueError, match=rf"\[0, size\), got rank {rank} of size {size}"):
        World(rank, size)


def test_one_rank_is_first() -> None:
    """Exactly one worker prints, claims and commits."""
    assert [World(rank, 3).is_first for rank in range(3)] == [True, False, False]
    assert World().is_first
