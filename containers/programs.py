"""Other programs."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from containers.errors import BuildError

_LAST_LINES = 12


def run(command: list[str], folder: Path | None = None, variables: dict[str, str] | None = None) -> str:
    """Run a program that has to succeed, and bring what it prints.

    Raises:
        BuildError: with the last that it said.
    """
    done = subprocess.run(
        command, cwd=folder, env=variables, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    if done.returncode:
        said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()][-_LAST_LINES:]
        raise BuildError("\n  ".join([f"{command[0]} ended with {done.returncode}:", *said]))
    return done.stdout


def require(packages: dict[str, str], purpose: str) -> None:
    """Say which programs are lacking; ``packages`` names for each the Debian package that brings it.

    Raises:
        BuildError: one is not there.
    """
    lacking = [program for program in packages if not shutil.which(program)]
    if lacking:
        brings = " ".join(sorted({packages[program] for program in lacking}))
        raise BuildError(f"{purpose} takes {' and '.join(lacking)}, not on the PATH here: apt-get install {brings}")
