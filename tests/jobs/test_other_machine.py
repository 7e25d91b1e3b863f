"""A run goes on where its bits would differ only if its user says so, and then the report marks the step."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.small import SMALL
from wavenet.report.config import ReportConfig
from wavenet.report.page import write_report
from wavenet.run_paths import RunPaths
from wavenet.training.history import read_history

from .conftest import PROGRAM

# torch's own switch: what it computes with on a processor that knows less.
LOWER = {"ATEN_CPU_CAPABILITY": "default"}
TINY = ("cluster=local", "training.schedule=constant", *SMALL)


def wavenet(folder: Path, environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    command = [PROGRAM, *words]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=400, check=False
    )


@pytest.mark.timeout(900)
def test_another_instruction_set_and_another_thread_count_are_refused_or_marked(
    tmp_path: Path, data: Path, environment: dict[str, str]
) -> None:
    """One sentence that names the key; with it the run goes on, and the report shows where, in words and as a line."""
    lower, run = {**environment, **LOWER}, RunPaths(tmp_path / "run")
    begun = wavenet(tmp_path, environment, "train", f"run={run.root}", f"data={data}", "training.num_steps=6", *TINY)
    assert begun.returncode == 0, begun.stderr
    more = ("train", f"run={run.root}", "cluster=local", "training.num_steps=12")

    refused = wavenet(tmp_path, environment, *more, "training.threads=2")
    assert (refused.returncode, refused.stderr.count("\n")) == (4, 1)
    assert "training.threads=1" in refused.stderr
    assert "'accept=[training.threads]'" in refused.stderr
    refused = wavenet(tmp_path, lower, *more)
    assert (refused.returncode, refused.stderr.count("\n")) == (4, 1)
    told = re.search(r"numerics\.instructions was '(\w+)' and is 'DEFAULT'.*'accept=\[([\w.,]+)\]'", refused.stderr)
    assert told is not None

    went_on = wavenet(tmp_path, lower, *more, "training.threads=2", f"accept=[training.threads,{told[2]}]")
    assert went_on.returncode == 0, went_on.stderr
    first, second = read_history(run).attempts
    assert (first.accepted, second.resumed_step) == ([], 6)
    assert {"numerics.instructions", "training.threads"} <= set(second.accepted)
    page = write_report(run, ReportConfig()).read_text("utf-8")
    (mark,) = json.loads((run.report / "data.json").read_text("utf-8"))["restarts"]
    assert (mark["step"], mark["accepted"]) == (6, second.accepted)
    assert f"went on after step 6 with another {', '.join(second.accepted)}" in page
    assert "went on with another " in (run.report / "figures" / "loss-wide-light.svg").read_text("utf-8")
