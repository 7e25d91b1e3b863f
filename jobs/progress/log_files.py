"""The logs of a run or a data folder: which there are, and which are those of the present attempts.

A submission has a folder of its own. In it each start of a job on Slurm has its log (``12_0_restart-1.log``: job 12,
rank 0, its second start; ``12_3_0_…``: element 3 of array 12), and so has its batch script (``12_0_log.out``). On this
machine each start is a process of its own (``4321_0_log.out``, and ``.err`` for what went wrong).
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from jobs.progress.stage_progress import STAGES

_FOLDER = re.compile(rf"(?P<stage>{'|'.join(STAGES)})-\d{{8}}T\d{{6}}Z(?:-\d+)?")
_START = re.compile(r"(?P<job>\d+(?:_\d+)?)_(?P<rank>\d+)_restart-(?P<restart>\d+)\.log")
_OUTPUT = re.compile(r"(?P<job>\d+(?:_\d+)?)_(?P<rank>\d+)_log\.(?:out|err)")


@dataclass(frozen=True)
class LogFile:
    """One log. ``restart`` is None for what is not one start's: a batch script's, or that of a process here."""

    path: Path
    stage: str
    job: str
    rank: int
    restart: int | None

    @property
    def folder(self) -> Path:
        return self.path.parent

    def is_of_task(self, task: str) -> bool:
        """Whether it belongs to the element ``task`` of an array: 3 or 12_3."""
        return task in (self.job, self.job.partition("_")[2])


def list_logs(jobs: Path, stage: str | None = None) -> list[LogFile]:
    """All logs below the folder ``jobs``, the oldest submission first."""
    if not jobs.is_dir():
        return []
    folders = [(folder, _FOLDER.fullmatch(folder.name)) for folder in sorted(jobs.iterdir(), key=_age)]
    chosen = [(folder, match["stage"]) for folder, match in folders if match and stage in (None, match["stage"])]
    return [log for folder, name in chosen for log in _in_folder(folder, name)]


def _age(folder: Path) -> str:
    return folder.name.partition("-")[2]


def _in_folder(folder: Path, stage: str) -> list[LogFile]:
    found = []
    for name in sorted(os.listdir(folder)):
        if match := _START.fullmatch(name):
            found.append(LogFile(folder / name, stage, match["job"], int(match["rank"]), int(match["restart"])))
        elif match := _OUTPUT.fullmatch(name):
            found.append(LogFile(folder / name, stage, match["job"], int(match["rank"]), None))
    return found


def present(logs: list[LogFile]) -> list[LogFile]:
    """Of the submission that wrote last, the newest log of each task; a batch script's where there is no other."""
    written = [log for log in logs if _size(log.path)]
    if not written:
        return []
    folder = max(written, key=lambda log: log.path.stat().st_mtime).folder
    here = [log for log in written if log.folder == folder]
    starts: dict[tuple[str, int], LogFile] = {}
    for log in sorted((log for log in here if log.restart is not None), key=_by_start):
        # An element of an array is a task of its own; a job that took another's place is the same task.
        starts[log.job if "_" in log.job else "", log.rank] = log
    return list(starts.values()) or here


def _by_start(log: LogFile) -> tuple[list[int], int]:
    return [int(part) for part in log.job.split("_")], log.restart or 0


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def list_outputs(folder: Path) -> list[Path]:
    """What jobs have printed into ``folder``, by name."""
    return sorted(path for path in folder.iterdir() if _OUTPUT.fullmatch(path.name))
