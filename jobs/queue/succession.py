"""The tasks of a submission, and whose each is by now: the marks that batch scripts leave in its folder.

A job that may not be requeued hands over to a successor, another job. The files of their line are named by the id of
the first, which is the one that was submitted.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_TASK = "_submitted.pkl"
_DONE = ".done"
_FAILED = ".failed"
_SUCCESSORS = ".successors"


@dataclass(frozen=True)
class Line:
    """One task: what was submitted as job ``first`` and belongs to job ``job_id`` now."""

    first: str
    job_id: str
    is_done: bool
    failure: str | None
    """Why the newest start has ended otherwise, if it did."""


def read_lines(folder: Path) -> list[Line]:
    """The tasks that were submitted with ``folder``, in the order of their numbers; none in a folder without jobs."""
    files = set(os.listdir(folder))
    successors = {name.removesuffix(_SUCCESSORS): _ids(folder / name) for name in files if name.endswith(_SUCCESSORS)}
    later = {job_id for ids in successors.values() for job_id in ids}
    tasks = {name.removesuffix(_TASK) for name in files if name.endswith(_TASK)} - later
    return [_line(folder, first, successors.get(first, []), files) for first in sorted(tasks, key=_by_number)]


def _line(folder: Path, first: str, successors: list[str], files: set[str]) -> Line:
    failure = (folder / f"{first}{_FAILED}").read_text("utf-8", "replace").strip() if first + _FAILED in files else None
    return Line(first, [first, *successors][-1], first + _DONE in files, failure)


def _ids(path: Path) -> list[str]:
    return path.read_text("utf-8").split()


def _by_number(job_id: str) -> list[int]:
    return [int(part) for part in job_id.split("_") if part.isdigit()]
