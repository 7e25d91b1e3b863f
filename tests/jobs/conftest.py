"""The command line as a user has it, and a small data folder for it to work on."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.jobs.batch_script import REQUEUED, RUNNING, Script
from wavenet.audio.clips import ClipsConfig
from wavenet.catalogue.genres import GenresConfig
from wavenet.catalogue.split import SplitConfig
from wavenet.shards.index import build_index
from wavenet.shards.plan import make_plan
from wavenet.shards.write import write_share
from wavenet.synthetic.library import write_library
from wavenet.world import World

PROGRAM = str(Path(sys.executable).with_name("wavenet"))
SECONDS = 3.0


@pytest.fixture(scope="session")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few recordings of each genre, and flawed ones."""
    folder = tmp_path_factory.mktemp("music") / "Rock & Roll (live), vol. 'two'"
    write_library(folder, seconds=SECONDS, recordings_share=0.25)
    return folder


@pytest.fixture(scope="session")
def data(music: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shards of `music`."""
    folder = tmp_path_factory.mktemp("prepared") / "data"
    clips = ClipsConfig(seconds=SECONDS, min_recording_seconds=SECONDS)
    make_plan(music, folder, clips, GenresConfig(), SplitConfig())
    write_share(folder, World())
    build_index(folder)
    return folder


@pytest.fixture
def environment() -> dict[str, str]:
    """One thread each, so that tests side by side do not fight for the cores."""
    return {**os.environ, "OMP_NUM_THREADS": "1"}


@pytest.fixture
def wavenet(tmp_path: Path, environment: dict[str, str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a command to its end, in the test's own folder."""

    def run(*words: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [PROGRAM, *words],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    return run


@pytest.fixture
def script(tmp_path: Path) -> Script:
    """Its Slurm knows a job that runs, and takes whatever it is asked for."""
    script = Script(tmp_path / "the run's" / "jobs", tmp_path / "commands")
    script.folder.mkdir(parents=True)
    script.commands.mkdir()
    (script.folder / "7_submitted.pkl").touch()
    script.say("squeue", f"echo {RUNNING}")
    script.say("sleep", "true")
    for command in ("scontrol", "sbatch", "scancel"):
        script.say(command, f'echo "{command} was not to be used" >&2; exit 1')
    return script


@pytest.fixture
def asked(script: Script) -> Callable[[], list[str]]:
    """What scontrol was asked for, in a Slurm that puts the job back when it is; its partition has six nodes."""
    script.say("scontrol", 'echo "$@" >> "$0.asked"')
    put_back = f'if grep -qs requeue "$(dirname $0)/scontrol.asked"; then echo {REQUEUED}; else echo {RUNNING}; fi'
    script.say("squeue", put_back)
    script.say("sinfo", "seq -f n%g 1 6")
    log = script.commands / "scontrol.asked"

    def asked() -> list[str]:
        lines = log.read_text("utf-8").splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return [line for line in lines if line.startswith("update")]

    return asked
