"""Few points that show many: condensed curves, trend lines and restart marks."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wavenet.training.history import AttemptRow

Numbers = NDArray[np.float64]

MOST_POINTS = 300
"""More points than a figure is wide in pixels would only cost bytes."""

_TREND_POINTS = 120
_TREND_WIDTH = 0.025
_ROBUST_ROUNDS = 2
_FEWEST_FOR_TREND = 4


@dataclass(frozen=True)
class Curve:
    """At most `MOST_POINTS` points, each the mean, lowest and highest value of neighbouring steps."""

    step: list[float]
    mean: list[float]
    low: list[float]
    high: list[float]
    trend_step: list[float]
    trend: list[float]
    steps_per_point: int


@dataclass(frozen=True)
class Restart:
    """Attempt ``attempt`` began after ``step``; ``cause`` ended the one before it on perhaps another host.

    ``accepted`` names what was not what the run began with, as the user allowed.
    """

    step: int
    attempt: int
    cause: str
    is_moved: bool
    lost_steps: int
    accepted: list[str]


def condense(steps: list[int], values: list[float], most_points: int = MOST_POINTS) -> Curve:
    """Condense ``values`` at ``steps`` (ascending, of equal length); values that are not finite are left out."""
    step, value = np.asarray(steps, np.float64), np.asarray(values, np.float64)
    is_finite = np.isfinite(value)
    step, value = step[is_finite], value[is_finite]
    per_point = max(1, -(-len(step) // most_points))
    starts = np.arange(0, len(step), per_point)
    counts = np.diff(np.append(starts, len(step)))
    if len(step) == 0:
        return Curve([], [], [], [], [], [], 1)
    mean_step = np.add.reduceat(step, starts) / counts
    mean = np.add.reduceat(value, starts) / counts
    trend_step, trend = lowess(mean_step, mean, counts.astype(np.float64))
    return Curve(
        step=_rounded(mean_step),
        mean=_rounded(mean),
        low=_rounded(np.minimum.reduceat(value, starts)),
        high=_rounded(np.maximum.reduceat(value, starts)),
        trend_step=_rounded(trend_step),
        trend=_rounded(trend),
        steps_per_point=per_point,
    )


def lowess(x: Numbers, y: Numbers, weight: Numbers) -> tuple[Numbers, Numbers]:
    """Robust locally weighted linear regression (Cleveland, "Robust Locally Weighted Regression", JASA 1979).

    Unlike a moving mean it has no bias at the two ends, where a falling loss is looked at most, and a few stalled
    steps do not lift it.

    Args:
        x, y, weight: (N,) positions (ascending), values, and how many steps each stands for.

    Returns:
        Positions and values of the trend; both empty where there are fewer than four points.
    """
    if len(x) < _FEWEST_FOR_TREND or x[-1] <= x[0]:
        return np.empty(0), np.empty(0)
    width = max(_TREND_WIDTH * (x[-1] - x[0]), 1.5 * (x[-1] - x[0]) / (len(x) - 1))
    grid = np.linspace(x[0], x[-1], min(_TREND_POINTS, len(x)))
    trust = weight
    for _ in range(_ROBUST_ROUNDS):
        residual = np.abs(y - np.interp(x, grid, _local_lines(x, y, trust, grid, width)))
        scale = 6 * np.median(residual)
        if scale > 0:
            trust = weight * np.clip(1 - np.minimum(residual / scale, 1) ** 2, 1e-6, None) ** 2
    return grid, _local_lines(x, y, trust, grid, width)


def _local_lines(x: Numbers, y: Numbers, weight: Numbers, grid: Numbers, width: float) -> Numbers:
    """At each place of ``grid`` the value of the line fitted under a Gaussian window, by its normal equations."""
    offset = (x[None, :] - grid[:, None]) / width
    kernel = weight * np.exp(-0.5 * offset**2)
    s0, s1, s2 = kernel.sum(1), (kernel * offset).sum(1), (kernel * offset**2).sum(1)
    t0, t1 = kernel @ y, (kernel * offset) @ y
    values: Numbers = (s2 * t0 - s1 * t1) / (s0 * s2 - s1**2)
    return values


def restarts(attempts: list[AttemptRow]) -> list[Restart]:
    """One mark for each attempt after the first, with the cause that ended the attempt before it."""
    return [
        Restart(
            step=attempt.resumed_step,
            attempt=attempt.attempt,
            cause=before.cause,
            is_moved=attempt.host != before.host,
            lost_steps=max(0, before.last_step - attempt.resumed_step),
            accepted=attempt.accepted,
        )
        for before, attempt in itertools.pairwise(attempts)
    ]


def _rounded(values: Numbers) -> list[float]:
    """Six significant digits: enough for any figure, a third of the bytes."""
    return [float(f"{value:.6g}") for value in values]
