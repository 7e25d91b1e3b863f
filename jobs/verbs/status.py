"""``wavenet status``: what each run is doing, its restarts and why, what is left. Reads files, and asks squeue."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from jobs.folders import DEFAULT_ROOT, absolute, run_paths, shown
from jobs.progress.stage_progress import read_stages
from jobs.progress.standing import look_at
from jobs.progress.status_words import in_words, stages_in_words
from jobs.queue import submitted
from jobs.queue.scheduler import QueuedJob
from wavenet.audio.names import printable
from wavenet.errors import InputError, UsageError
from wavenet.run_paths import RunPaths
from wavenet.settings import key


@dataclass(frozen=True, kw_only=True)
class StatusKeys:
    """Keys of ``wavenet status``."""

    run: str = key("", "one run, by its name below root or its path; empty: all runs below root")
    root: str = key(DEFAULT_ROOT, "folder of the runs that are given by name")
    data: str = key("data", "folder of shards; while jobs of Slurm prepare it, that is told as well")
    json: bool = key(False, "print JSON, a list with one object for each run; --json does the same")
    watch: bool = key(False, "tell it again and again, until Ctrl-C; --watch does the same")
    every_seconds: float = key(5.0, "how often, with watch; each time squeue is asked once")
    stall_minutes: float = key(5.0, "what runs is called stalled after so long without progress, or ten steps")

    def __post_init__(self) -> None:
        for name, least in (("every_seconds", 0.1), ("stall_minutes", 0.0)):
            if getattr(self, name) < least:
                raise UsageError(f"{name} must be at least {least:g}, got {getattr(self, name):g}")


def status(keys: StatusKeys) -> None:
    """Print where one run, or every run, stands; once, or until Ctrl-C."""
    if not keys.watch:
        print("\n".join(_told(keys, indent=1)))
        return
    show = _print_if_new() if keys.json or not sys.stdout.isatty() else _redraw()
    try:
        while True:
            show(_told(keys, indent=None))
            time.sleep(keys.every_seconds)
    except KeyboardInterrupt:
        print()


def list_runs(root: Path) -> list[RunPaths]:
    """The run folders below ``root``, by name."""
    if not root.is_dir():
        return []
    runs = [RunPaths(folder) for folder in sorted(root.iterdir()) if folder.is_dir()]
    return [run for run in runs if run.config.exists() or run.ledger.is_dir() or submitted.names(run)]


def _told(keys: StatusKeys, indent: int | None) -> list[str]:
    """The lines of one look at everything."""
    runs = [run_paths(keys.run, keys.root)] if keys.run else list_runs(absolute(keys.root))
    if keys.run and not runs[0].root.is_dir():
        at = shown(runs[0].root)
        raise InputError(f"there is no run at {at!r}; `wavenet status` lists the runs below {keys.root}")
    data = absolute(keys.data)
    is_prepared_by_jobs = not keys.run and not (data / "index.json").exists()
    folders = [run.jobs for run in runs] + [data / "jobs"] * is_prepared_by_jobs
    queue = submitted.in_queue_of(*folders)
    states = [look_at(run, queue, stall_seconds=60 * keys.stall_minutes) for run in runs]
    preparation = _preparation(data, queue) if is_prepared_by_jobs else None
    if keys.json:
        objects = [asdict(state) for state in states] + ([preparation] if preparation else [])
        return [json.dumps(objects, indent=indent, ensure_ascii=True)]
    lines = [line for state in states for line in in_words(state)]
    lines += _preparation_in_words(preparation) if preparation else []
    return [printable(line) for line in lines] or [
        f"no runs in {shown(absolute(keys.root))}; `wavenet train run=NAME` starts one"
    ]


def _preparation(data: Path, queue: Sequence[QueuedJob] | None) -> dict[str, Any] | None:
    """How far the folder of shards is that jobs of Slurm prepare; None where none do."""
    stages = [stage.to_dict() for stage in read_stages(data / "jobs", queue)]
    return {"data": shown(data), "is_queue_known": queue is not None, "stages": stages} if stages else None


def _preparation_in_words(preparation: dict[str, Any]) -> list[str]:
    stages = preparation["stages"]
    lines = [f"{preparation['data']}: shards, not complete yet", *(f"    {line}" for line in stages_in_words(stages))]
    return lines if preparation["is_queue_known"] else [*lines, "    squeue gives no answer"]


def _print_if_new() -> Callable[[list[str]], None]:
    """For a log or a pipe: what was printed stays, so only news are printed, with the time."""
    before: list[str] = []

    def show(lines: list[str]) -> None:
        nonlocal before
        if lines != before:
            print("\n".join(lines), flush=True)
        before = lines

    return show


def _redraw() -> Callable[[list[str]], None]:
    """For a terminal: each time over what was there before, cut to what fits."""
    height = 0

    def show(lines: list[str]) -> None:
        nonlocal height
        columns, rows = shutil.get_terminal_size()
        told = [_heading(), *lines]
        if len(told) >= rows:
            told = [*told[: rows - 2], f"... and {len(told) - rows + 2} more lines"]
        up = f"\x1b[{height}F" if height else ""
        sys.stdout.write(up + "\x1b[J" + "".join(f"{line[: columns - 1]}\n" for line in told))
        sys.stdout.flush()
        height = len(told)

    return show


def _heading() -> str:
    return f"{datetime.now(timezone.utc).astimezone():%H:%M:%S}, until Ctrl-C"
