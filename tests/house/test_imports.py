"""The import contracts are not decoration: a planted violation is found."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

VIOLATIONS = [
    ("wavenet/errors.py", "import wavenet.durable", "imports only what lies below it"),
    ("wavenet/audio/mulaw.py", "from omegaconf import OmegaConf", "no configuration system"),
    ("wavenet/seeds.py", "import jobs", "no command line"),
    ("wavenet/checkpoint/store.py", "import torch", "without torch"),
]


@pytest.mark.parametrize(("file", "line", "contract"), VIOLATIONS)
def test_a_planted_violation_breaks_its_contract(tmp_path: Path, file: str, line: str, contract: str) -> None:
    """Each contract names itself when one import goes the wrong way."""
    for folder in ("wavenet", "jobs"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / file).open("a") as stream:
        stream.write(f"\n{line}\n")
    program = "import sys; sys.path.insert(0, ''); from importlinter.cli import lint_imports; sys.exit(lint_imports())"
    command = [sys.executable, "-P"] if sys.version_info >= (3, 11) else [sys.executable]
    linted = subprocess.run(
        [*command, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert linted.returncode == 1, linted.stdout + linted.stderr
    broken = [line for line in linted.stdout.splitlines() if line.endswith("BROKEN")]
    assert any(contract in line for line in broken), linted.stdout
