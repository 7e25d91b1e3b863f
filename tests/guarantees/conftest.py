"""One demo for all the guarantees: run once, from an installed wheel, outside the checkout."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from wavenet.run_paths import RunPaths


@dataclass(frozen=True)
class Demo:
    """A finished ``wavenet demo``: where it wrote, what it printed, how long it took."""

    folder: Path
    output: str
    seconds: float

    @property
    def run(self) -> RunPaths:
        return RunPaths(self.folder / "runs" / "demo")


@pytest.fixture(scope="session")
def demo(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """The demo as a user runs it who has the wheel and nothing else."""
    place = tmp_path_factory.mktemp("somewhere")
    command = [str(installed / "bin" / "wavenet"), "demo"]
    started = time.monotonic()
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=1200, check=False)
    seconds = time.monotonic() - started
    assert done.returncode == 0, done.stdout + done.stderr
    return Demo(place / "demo", done.stdout, seconds)
