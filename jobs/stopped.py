"""The stop marker of a run: while it is there, nothing starts the run again but its user."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

from wavenet import durable
from wavenet.run_paths import RunPaths


def marker(run: RunPaths) -> Path:
    """A file that batch scripts look for as well."""
    return run.jobs / "stopped"


def is_stopped(run: RunPaths) -> bool:
    """Whether the user wants the run to stay stopped."""
    return marker(run).exists()


def mark_stopped(run: RunPaths) -> None:
    """Let nothing start the run again."""
    durable.write_text(marker(run), f"{datetime.now(timezone.utc).isoformat(timespec='seconds')}\n")


def unmark(run: RunPaths) -> None:
    """The user starts the run again."""
    with durable.storage_errors(marker(run)):
        marker(run).unlink(missing_ok=True)
