"""``wavenet report``: run folder -> report/index.html."""

from __future__ import annotations

from dataclasses import dataclass

from omegaconf import MISSING

from jobs.folders import DEFAULT_ROOT, run_paths, shown
from jobs.terminal import Display
from wavenet.report.config import ReportConfig
from wavenet.settings import key


@dataclass(frozen=True, kw_only=True)
class ReportKeys:
    """Keys of ``wavenet report``."""

    run: str = key(MISSING, "the run's name below root, or its path; for example run=first")
    root: str = key(DEFAULT_ROOT, "folder of the runs that are given by name")
    report: ReportConfig


def report(keys: ReportKeys) -> None:
    """Write the run's report as far as the run is."""
    from wavenet.report.page import write_report

    display = Display()
    path = write_report(run_paths(keys.run, keys.root), keys.report, display.progress("report: figures"))
    display.end()
    display.line(f"report: {shown(path)}")
