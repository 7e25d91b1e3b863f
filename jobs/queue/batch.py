"""The batch script of a submission: submitit's, with ``slurm/batch.sh`` around the program."""

from __future__ import annotations

import math
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.container import Container

_SCRIPT = Path(__file__).parent.parent.parent / "slurm" / "batch.sh"

RESTART_LOG = "_restart-"

_VERBS_OF_A_RUN = ("train", "generate", "report")


@dataclass(frozen=True)
class Restarts:
    """When and where a job is started again."""

    most_idle: int = 0
    """Times in a row without a new checkpoint before it is given up."""
    pause_seconds: float = 0.0
    """From a fault to the next start."""
    most_excluded: int = 0
    """Hosts that are stayed away from after two faults each."""


def with_decisions(parameters: dict[str, Any], folder: Path, restarts: Restarts) -> dict[str, Any]:
    """``parameters`` of submitit's Slurm executor with the decision whether the job is started again.

    The text is copied into the script, which Slurm keeps: an update of the program does not reach a job in the queue.
    It comes before the site's own setup lines, during which a job may be stopped as well.

    Args:
        folder: of the submission; the one above it holds the stop marker and the log of decisions.
    """
    head = [
        f"our_folder={shlex.quote(str(folder))}",
        f"our_most_idle={restarts.most_idle}",
        f"our_pause={math.ceil(restarts.pause_seconds)}",
        f"our_most_excluded={restarts.most_excluded}",
        f"our_exclude={shlex.quote(parameters.get('exclude', ''))}",
        f"our_command={shlex.quote(_command(folder))}",
    ]
    setup = [*head, *_SCRIPT.read_text("utf-8").splitlines(), *parameters.get("setup", [])]
    return {**parameters, "setup": setup, "use_srun": False, "stderr_to_stdout": True}


def _command(folder: Path) -> str:
    """What a person types to start again what was submitted with ``folder``, if Slurm does not."""
    verb = folder.name.partition("-")[0]
    if verb in _VERBS_OF_A_RUN:
        return f"`wavenet {verb} run={shlex.quote(str(folder.parent.parent))}`"
    return "the command that submitted it"


def launcher(folder: Path, container: Container | None = None) -> str:
    """The shell's words before those of Python: each task under srun, with a log for each start.

    srun takes neither the number of cores nor, where the site says so, the environment from sbatch. One task that
    ends must not end the others, which may be saving. Python is srun's own child: under process tracking by cgroups a
    shell between them would get the signals in its place.
    """
    log = f'{shlex.quote(str(folder).replace("%", "%%"))}/"$our_id"_%t{RESTART_LOG}"$our_restart".log'
    exported = f'"{container.exported()}"' if container else "ALL"
    python = container.python() if container else shlex.quote(sys.executable)
    options = [
        "--unbuffered",
        "--kill-on-bad-exit=0",
        f"--export={exported}",
        '--cpus-per-task="${SLURM_CPUS_PER_TASK:-1}"',
    ]
    attended = "answering attended" if container else "attended"
    return " ".join([attended, "srun", *options, f"--output={log}", python])
