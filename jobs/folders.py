"""Where runs live: a bare name is a folder below ``root``, anything with a slash is a path."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Protocol

from wavenet.errors import UsageError
from wavenet.run_paths import RunPaths

DEFAULT_ROOT = "runs"


class HasJobs(Protocol):
    """The paths of a run, or of a data folder: each has a folder for what is submitted for it."""

    @property
    def root(self) -> Path: ...

    @property
    def name(self) -> str: ...

    @property
    def jobs(self) -> Path: ...


def run_paths(run: str, root: str) -> RunPaths:
    """The run's folder, absolute, so that tasks find it from wherever they start.

    Raises:
        UsageError: an empty name.
    """
    if not run:
        raise UsageError("run= must be a name, such as run=first, or a path; it is empty")
    is_name = "/" not in run and run not in (".", "..") and not run.startswith("~")
    return RunPaths(absolute(Path(root) / run if is_name else Path(run)))


def absolute(path: str | Path) -> Path:
    """``path`` from the root, with ``~`` replaced; links are kept, since the user chose their names."""
    return Path(os.path.abspath(Path(path).expanduser()))  # noqa: PTH100  resolve() would follow links


def shown(path: Path) -> str:
    """``path`` as a person at this prompt would type it, printable whatever bytes it holds."""
    with contextlib.suppress(ValueError):
        path = path.relative_to(Path.cwd())
    return str(path).encode("utf-8", "backslashreplace").decode()
