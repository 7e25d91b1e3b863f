"""The command line as a user has it, and a small data folder for it to work on."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

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
