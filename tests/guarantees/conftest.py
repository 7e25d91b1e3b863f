"""One demo for all the guarantees: run once, from an installed wheel, outside the checkout."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from wavenet.run_paths import RunPaths


@dataclass(frozen=True)
class Demo:
    """A finished ``wavenet demo``: where it wrote and what it printed."""

    folder: Path
    output: str

    @property
    def run(self) -> RunPaths:
        return RunPaths(self.folder / "runs" / "demo")


@pytest.fixture(scope="session")
def demo(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """The demo as a user runs it who has the wheel and nothing else."""
    place = tmp_path_factory.mktemp("somewhere")
    command = [str(installed / "bin" / "wavenet"), "demo"]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=1200, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return Demo(place / "demo", done.stdout)
