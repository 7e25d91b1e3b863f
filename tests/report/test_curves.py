"""Condensing and trends."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wavenet.report.curves import MOST_POINTS, condense


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=2000))
def test_condensing_keeps_mean_and_extremes(values):
    """However many steps: few points, none of the extremes lost, and each mean between its extremes."""
    curve = condense(list(range(1, len(values) + 1)), values)
    assert len(curve.step) == len(curve.mean) == len(curve.low) == len(curve.high) <= MOST_POINTS
    assert max(curve.high) == pytest.approx(max(values), rel=1e-5, abs=1e-9)
    assert min(curve.low) == pytest.approx(min(values), rel=1e-5, abs=1e-9)
    scale = 1e-5 * max(1.0, *map(abs, values))
    assert all(
        low - scale <= mean <= high + scale for low, mean, high in zip(curve.low, curve.mean, curve.high, strict=True)
    )


@settings(deadline=None, max_examples=60)
@given(st.floats(-10, 10), st.floats(-1, 1), st.integers(5, 3000))
def test_the_trend_of_a_line_is_the_line(start, slope, count):
    """Local linear regression reproduces a straight line up to both ends."""
    steps = list(range(count))
    curve = condense(steps, [start + slope * step / count for step in steps])
    expected = start + slope * np.array(curve.trend_step) / count
    np.testing.assert_allclose(curve.trend, expected, atol=1e-3)


def test_a_few_stalled_steps_do_not_lift_the_trend():
    """One step in fifty that takes twenty times as long leaves the trend where the others are."""
    seconds = [2.0 if step % 50 == 0 else 0.1 for step in range(300)]
    assert max(condense(list(range(300)), seconds).trend) < 0.15


def test_values_that_are_no_numbers_are_left_out():
    """NaN and infinity neither appear nor poison their neighbours."""
    curve = condense([1, 2, 3, 4], [1.0, float("nan"), float("inf"), 2.0])
    assert (curve.step, curve.mean) == ([1, 4], [1, 2])


def test_nothing_gives_an_empty_curve():
    """No step yet is no error."""
    assert condense([], []).step == []
