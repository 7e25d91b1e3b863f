"""What the figures show, as the plain values of the report's data.json."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import asdict
from typing import Any

import numpy as np

from wavenet.report.curves import MOST_POINTS, Curve, condense, restarts
from wavenet.report.figures import MOST_LINES
from wavenet.report.gather import Material
from wavenet.report.samples import pair_seconds
from wavenet.report.spent_view import time_chart
from wavenet.training.history import ValidationRow


def chart_data(material: Material) -> dict[str, Any]:
    """JSON values from which every function of figures.py draws."""
    steps = material.history.steps
    numbers = [row.step for row in steps]
    seconds = condense(numbers, [row.seconds for row in steps])
    return {
        "format": 1,
        "run": material.name,
        "loss": asdict(condense(numbers, [row.loss for row in steps])),
        "seconds": {**asdict(seconds), "axis_top": axis_top(seconds)},
        "validation": _validation(material),
        "restarts": [asdict(mark) for mark in restarts(material.history.attempts)],
        "classes": [
            {
                "name": row.name,
                "num_recordings": row.num_recordings,
                "train_hours": row.train_hours,
                "validation_hours": row.validation_hours,
            }
            for row in material.classes
        ],
        "time": time_chart(material),
        "generation": _generation(material),
    }


def _generation(material: Material) -> dict[str, list[Any]]:
    """Seconds of computing per pair, at each checkpoint: the shortest, the mean and the longest."""
    by_step: defaultdict[int, list[float]] = defaultdict(list)
    for (_, step), seconds in pair_seconds(material.clips).items():
        by_step[step].append(seconds)
    steps = sorted(by_step)
    return {
        "step": steps,
        "shortest": [round(min(by_step[step]), 3) for step in steps],
        "mean": [round(sum(by_step[step]) / len(by_step[step]), 3) for step in steps],
        "longest": [round(max(by_step[step]), 3) for step in steps],
    }


def axis_top(curve: Curve) -> float:
    """Where the axis of seconds per step ends: a single stalled step must not flatten all the others.

    A quarter above the 98th percentile of the points, but never below the trend.
    """
    if not curve.mean:
        return 1.0
    return 1.25 * max([float(np.percentile(curve.mean, 98)), *curve.trend])


def _validation(material: Material) -> dict[str, Any]:
    """Losses at the validated steps, thinned evenly to what a figure can show; classes in the order of the table."""
    rows = _thinned(material.history.validations)
    return {
        "step": [row.step for row in rows],
        "loss": [_number(row.loss) for row in rows],
        "per_class": {
            entry.name: [_number(row.per_class.get(entry.class_id)) for row in rows]
            for entry in material.classes[:MOST_LINES]
            if any(entry.class_id in row.per_class for row in rows)
        },
    }


def _number(value: float | None) -> float | None:
    """None, a gap in the line, for what JSON cannot hold."""
    return value if value is not None and math.isfinite(value) else None


def _thinned(rows: list[ValidationRow]) -> list[ValidationRow]:
    if len(rows) <= MOST_POINTS:
        return rows
    return [rows[index] for index in np.linspace(0, len(rows) - 1, MOST_POINTS).round().astype(int)]
