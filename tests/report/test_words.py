"""Numbers as a reader wants them."""

from __future__ import annotations

import pytest

from wavenet.report import words


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.00 s"), (0.424, "0.42 s"), (9.994, "9.99 s"), (9.996, "10.0 s"), (99.96, "1 min 40 s"), (245, "4 min 05 s"),
     (3599.6, "1 h 00 min"), (27_060, "7 h 31 min"), (4 * 86_400 + 3600, "4 d 01 h")],
)  # fmt: skip
def test_durations(seconds, text):
    """Three digits or two units, rounded once."""
    assert words.duration(seconds) == text


@pytest.mark.parametrize(("value", "text"), [(0.004, "14 s"), (0.2, "12 min"), (2.46, "2.5 h"), (1234.5, "1,234 h")])
def test_hours(value, text):
    """Seconds, minutes or hours, whichever reads best."""
    assert words.hours(value) == text


def test_counts_and_sizes():
    """Thousands are separated, one is singular, and sizes are decimal as disks are sold."""
    assert [words.count(number, "step") for number in (0, 1, 2000)] == ["0 steps", "1 step", "2,000 steps"]
    assert [words.size(number) for number in (812, 14_200, 2_340_000)] == ["812 B", "14 kB", "2.3 MB"]
