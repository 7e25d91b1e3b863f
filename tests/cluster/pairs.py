"""Pairs of genre and checkpoint by the dozen or by the thousand, and tasks stopped in the middle of their clips.

``python -m tests.cluster.pairs FOLDER CHECKPOINTS GENRES`` writes a run that has so many of them.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wavenet.checkpoint import store
from wavenet.checkpoint.ledger import Ledger, Owner
from wavenet.generation.config import GenerationConfig, Priming
from wavenet.generation.plan import make_plan
from wavenet.generation.requests import ClipFiles, ClipRequest
from wavenet.model.arrays import initial_arrays
from wavenet.model.config import ModelConfig
from wavenet.run_paths import RunPaths

from .shell import PATIENCE
from .user import User

SEED = 7
NUM_CHECKPOINTS, NUM_GENRES, CLIP_SECONDS = 9, 5, 2.0
NUM_PAIRS = NUM_CHECKPOINTS * NUM_GENRES
_DIFFERENT = (
    "start_up_seconds",
    "start_up_processor_seconds",
    "host",
    "time",
    "seconds_taken",
    "samples_per_second",
    "peak_memory_bytes",
)
"""Facts of a clip that tell how its making went."""


def write_run(root: Path, num_checkpoints: int, num_genres: int) -> None:
    """Small networks that have learnt nothing: what they draw is as good as any other audio for a comparison."""
    run = RunPaths(root)
    ledger = Ledger.claim(run, Owner("host", 1, 1))
    model = ModelConfig(
        num_stacks=1,
        layers_per_stack=4,
        residual_channels=8,
        dilation_channels=8,
        skip_channels=8,
        num_conditions=num_genres,
    )
    for step in range(1, num_checkpoints + 1):
        facts = {
            "step": step,
            "position": step,
            "model": model.to_dict(),
            "sample_rate_hz": 16_000,
            "classes": [f"genre {number}" for number in range(num_genres)],
            "data_digest": "",
            "identity": {},
        }
        store.commit(run, ledger, facts, {"weights": initial_arrays(model, step)})


def words(num_checkpoints: int, seconds: float) -> list[str]:
    """Keys of ``wavenet generate`` for all pairs of such a run, each a task whose clip is kept after every slice."""
    asked = [f"generate.evenly={num_checkpoints}", f"generate.seconds={seconds}", "generate.primings=[silence]"]
    return [*asked, "generate.save_seconds=0", "cluster.pairs_per_task=1", f"seed={SEED}"]


PAIRS = words(NUM_CHECKPOINTS, CLIP_SECONDS)


def requests(run: RunPaths, num_checkpoints: int, seconds: float) -> list[ClipRequest]:
    """What `words` ask for, in the order of the tasks."""
    config = GenerationConfig(evenly=num_checkpoints, seconds=seconds, primings=(Priming.silence,))
    return make_plan(run, config, SEED, None)


@dataclass(frozen=True)
class Task:
    """A task that runs, with its process as this machine numbers it."""

    job: str
    pid: int
    node: str
    done: Path

    def send(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def _state(self) -> str:
        """As the kernel's letters say; X: it has ended."""
        try:
            return Path(f"/proc/{self.pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0]
        except OSError:
            return "X"

    def has_ended(self) -> bool:
        return self._state() in "ZX"

    def is_stopped(self) -> bool:
        """Whether SIGSTOP has come before its end; it comes at once, but not in the same instant."""
        for _ in range(50):
            if (state := self._state()) in "TZX":
                return state == "T"
            time.sleep(0.001)
        return False


def running_tasks(user: User, arrays: Sequence[str]) -> Iterator[Task]:
    """Those of the arrays that have a process."""
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, KeyError, ValueError):
            command = (folder / "cmdline").read_bytes()
            if b"submitit.core._submit" not in command or command.startswith(b"srun"):
                continue
            pairs = (pair.partition(b"=") for pair in (folder / "environ").read_bytes().split(b"\0"))
            values = {name.decode(): value.decode() for name, _, value in pairs}
            if values["SLURM_ARRAY_JOB_ID"] in arrays and values["SLURM_CLUSTER_NAME"] == user.shell.cluster.name:
                job = f"{values['SLURM_ARRAY_JOB_ID']}_{values['SLURM_ARRAY_TASK_ID']}"
                yield Task(job, int(folder.name), values["SLURMD_NODENAME"], Path(values["WAVENET_DONE"]))


@dataclass
class Aim:
    """Stops tasks in the middle of their clips: something of the clip is kept, and it is not complete.

    Args:
        user, arrays: whose tasks, and the arrays' ids in the order of the plan.
        sizes: of the arrays.
        clips: what the tasks of all arrays make, one each.
    """

    user: User
    arrays: Sequence[str]
    sizes: Sequence[int]
    run: RunPaths
    clips: Sequence[ClipRequest]

    def clip(self, task: Task) -> ClipRequest:
        """What the task makes."""
        array, _, number = task.job.partition("_")
        return self.clips[sum(self.sizes[: self.arrays.index(array)]) + int(number)]

    def _files(self, task: Task) -> ClipFiles:
        return self.clip(task).files(self.run)

    def stopped(self, spared: Callable[[Task], bool], is_over: Callable[[], bool]) -> Iterator[Task]:
        """One after the other, until it is over; whoever asks decides what becomes of them."""
        tasks: list[Task] = []
        looked = 0.0
        while not is_over():
            if time.monotonic() - looked > 0.1:
                tasks, looked = list(running_tasks(self.user, self.arrays)), time.monotonic()
            for task in tasks:
                if not spared(task) and self._files(task).partial.exists():
                    task.send(signal.SIGSTOP)
                    if task.is_stopped() and self._is_midway(task):
                        yield task
                    else:
                        task.send(signal.SIGCONT)
            time.sleep(0.002)

    def _is_midway(self, task: Task) -> bool:
        with contextlib.suppress(OSError):
            kept = np.load(io.BytesIO(self._files(task).partial.read_bytes()))
            return len(kept["levels"]) < self.clip(task).num_samples
        return False

    def hold(self, count: int) -> dict[str, Task]:
        """So many tasks at the same time; they stay as they are."""
        held: dict[str, Task] = {}
        deadline = time.monotonic() + PATIENCE
        for task in self.stopped(lambda task: task.job in held, lambda: time.monotonic() > deadline):
            held[task.job] = task
            if len(held) == count:
                return held
        raise AssertionError(f"held only {sorted(held)}")


def made(run: RunPaths, clip: ClipRequest) -> tuple[bytes, bytes, dict[str, Any]]:
    """Audio and facts of a clip, without those that may differ."""
    files = clip.files(run)
    facts = json.loads(files.json.read_text("utf-8"))
    kept = {name: value for name, value in facts.items() if name not in (*_DIFFERENT, "kept_samples")}
    return files.wav.read_bytes(), files.mp3.read_bytes(), kept


def kept_samples(run: RunPaths, clip: ClipRequest) -> int:
    """How much of a clip was drawn by starts of its task that did not come to their end."""
    return int(json.loads(clip.files(run).json.read_text("utf-8"))["kept_samples"])


def undisturbed(run: RunPaths, folder: Path, clips: Sequence[ClipRequest]) -> RunPaths:
    """The same clips, made one after the other in this process, for the checkpoints of ``run``."""
    from wavenet.generation.clips import make_clips

    folder.mkdir()
    for name in ("ledger", "checkpoints"):
        (folder / name).symlink_to(run.root / name)
    other = RunPaths(folder)
    for clip in clips:
        make_clips(other, [clip], None)
    return other


if __name__ == "__main__":
    write_run(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
