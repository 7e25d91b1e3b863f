"""Hosts that a run stays away from, as its batch scripts have written them down."""

from __future__ import annotations

from wavenet.run_paths import RunPaths


def excluded_hosts(run: RunPaths) -> list[str]:
    """Of the newest submission of its training, in the order in which they had their second fault."""
    folders = sorted(run.jobs.glob("train-*")) if run.jobs.is_dir() else []
    files = sorted(folders[-1].glob("*.excluded")) if folders else []
    return [host for file in files for host in file.read_text("utf-8", "replace").split()]
