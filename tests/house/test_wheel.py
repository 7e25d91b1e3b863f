"""A wheel is the whole product: installed outside the checkout it finds its profiles, presets and templates."""

from __future__ import annotations

import subprocess
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.xdist_group("wheel")  # one worker builds it, once

ROOT = Path(__file__).parents[2]


def test_the_wheel_holds_every_file_of_the_product(wheel: Path) -> None:
    """Data files travel with the code, and nothing of the tests or the developers does."""
    folders = ("wavenet", "jobs", "slurm")
    tracked = {
        str(path.relative_to(ROOT))
        for folder in folders
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert packed == tracked


def test_it_runs_outside_the_checkout(installed: Path, tmp_path: Path) -> None:
    """The command is the wheel's own code, and answers."""
    elsewhere = tmp_path / "else where"
    elsewhere.mkdir()

    def run(*command: str) -> str:
        done = subprocess.run(command, cwd=elsewhere, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    program = "import jobs, wavenet, slurm; print(jobs.__file__, wavenet.__file__, slurm.__file__)"
    places = run(str(installed / "bin/python"), "-c", program)
    assert str(ROOT) not in places
    command = str(installed / "bin/wavenet")
    for verb in ("demo", "prepare", "train", "generate", "report", "run", "status", "import", "export"):
        assert f"  {verb} " in run(command, "--help")
    help_of_train = run(command, "train", "--help")
    assert all(name in help_of_train for name in ("tiny", "reference", "music", "local", "slurm"))
    run(command, "status")
    assert list(elsewhere.iterdir()) == []
