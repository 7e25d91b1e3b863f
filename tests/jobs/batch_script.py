"""A batch script as submitted, with commands of Slurm that say what a test wants."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from jobs.queue.batch import Restarts, with_decisions

RUNNING = "RUNNING 0 N/A 2026-11-23T03:00:00 None"
IN_GRACE = "RUNNING 0 2026-11-23T01:00:00 2026-11-23T01:00:15 None"
CANCELLED = "COMPLETING 0 N/A 2026-11-23T01:00:00 None"
REQUEUED = "COMPLETING 1 N/A 2026-11-23T01:00:00 None"
TIMED_OUT = "COMPLETING 0 N/A 2026-11-23T01:00:00 TimeLimit"


@dataclass(frozen=True)
class Script:
    """A batch script of job 7, with commands of Slurm that say what the test wants."""

    jobs: Path
    commands: Path
    options: list[str] = field(default_factory=list)
    """What submitit writes at the top."""

    @property
    def folder(self) -> Path:
        return self.jobs / "train-1"

    def say(self, command: str, script: str) -> None:
        path = self.commands / command
        path.write_text(f"#!/bin/bash\n{script}\n", "utf-8")
        path.chmod(0o755)

    def run(self, program: str, start: str = "attended", most_idle: int = 1, **variables: str) -> int:
        parameters = with_decisions({"exclude": "old1"}, self.folder, Restarts(most_idle, 60.0, most_excluded=2))
        path = self.folder / "7_submission.sh"
        path.write_text(
            "\n".join([*self.options, *parameters["setup"], f"{start} bash -c {shlex.quote(program)}"]), "utf-8"
        )
        environment = {**os.environ, "PATH": f"{self.commands}:{os.environ['PATH']}", "SLURM_JOB_ID": "7"}
        environment |= {"SLURM_JOB_NAME": "name", **variables}
        return subprocess.run(["bash", str(path)], env=environment, timeout=60, check=False).returncode

    def asked(self, *command: str, seconds: float = 5) -> list[object] | None:
        """What a program in a container hears, as does one on another node; then it ends well."""
        heard = self.commands / "heard"
        code = (
            "import json, os; from concurrent.futures import ThreadPoolExecutor; from dataclasses import astuple\n"
            "from pathlib import Path; from jobs import outside\n"
            "assert 'WAVENET_QUESTIONS' in os.environ['EXPORTED'].split(',')\n"
            f"asked = Path(os.environ['WAVENET_QUESTIONS']), {command!r}, {seconds}\n"
            "with ThreadPoolExecutor() as pool:\n"
            "    elsewhere = pool.submit(outside.overhear, *asked)\n"
            "    answer = outside.run(*asked)\n"
            "    assert elsewhere.result() == answer\n"
            f"Path({str(heard)!r}).write_text(json.dumps(answer and astuple(answer)))"
        )
        done = shlex.quote(f"{self.folder}/7.done")
        # As for srun: gathered before the rest of the line is run.
        start = 'EXPORTED="$(compgen -e | paste -sd, -)" answering attended'
        assert self.run(f"touch {done}; exec {sys.executable} -c {shlex.quote(code)}", start) == 0
        answer: list[object] | None = json.loads(heard.read_text("utf-8"))
        return answer

    def decisions(self) -> list[str]:
        lines = (self.jobs / "decisions.log").read_text("utf-8").splitlines()
        return [line.split(": ", 1)[1] for line in lines]
