"""The stop marker of a run or a data folder: while it is there, nothing starts its jobs again but its user."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

from jobs.folders import HasJobs
from wavenet import durable


def marker(place: HasJobs) -> Path:
    """A file that batch scripts look for as well."""
    return place.jobs / "stopped"


def is_stopped(place: HasJobs) -> bool:
    """Whether the user wants it to stay stopped."""
    return marker(place).exists()


def mark_stopped(place: HasJobs) -> None:
    """Let nothing start it again."""
    durable.write_text(marker(place), f"{datetime.now(timezone.utc).isoformat(timespec='seconds')}\n")


def unmark(place: HasJobs) -> None:
    """The user starts it again."""
    with durable.storage_errors(marker(place)):
        marker(place).unlink(missing_ok=True)
