"""How long `wavenet status` takes with many runs, each with several attempts and a ledger of a hundred entries."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from jobs.keys.frozen import RunConfig, settle
from tests.benchmarks.measurements import Measurement
from wavenet.checkpoint.ledger import Ledger, Owner
from wavenet.model.config import ModelConfig
from wavenet.run_paths import RunPaths
from wavenet.training.config import TrainingConfig
from wavenet.training.history import HistoryWriter, overtaken_by
from wavenet.training.stopwatch import Stopwatch

NUM_RUNS = 50
NUM_ATTEMPTS = 4
STEPS, COMMITS = 500, 25  # of each attempt
REPETITIONS = 3


def _attempt(run: RunPaths, number: int) -> None:
    ledger = Ledger.claim(run, Owner("node1", 1, 1, "12", number))
    overtook = overtaken_by(run, ledger.attempt)
    history, watch = HistoryWriter(run, ledger.attempt), Stopwatch()
    first = number * STEPS
    history.append(
        "start",
        attempt=ledger.attempt,
        host="node1",
        pid=1,
        job_id="12",
        resumed_step=first,
        num_steps=9999,
        overtook=overtook,
    )
    for step in range(first + 1, first + STEPS + 1):
        history.append(
            "step", step=step, loss=2.5, seconds=0.25, learning_rate=1e-3, gradient_norm=1.0, **watch.add("steps", 0.25)
        )
    for commit in range(1, COMMITS + 1):
        ledger.append("commit", step=first + commit * STEPS // COMMITS, payload="x", digest="x", bytes=1)
    history.append("end", cause="preemption", step=first + STEPS, detail="")
    history.close()


def many_runs() -> Iterator[Measurement]:
    """On the clock, and of the processor; the queue is not asked, since no run has jobs."""
    with tempfile.TemporaryDirectory() as folder:
        config = RunConfig("tiny", 0, "data", "abc", ModelConfig(), TrainingConfig(num_steps=9999))
        for number in range(NUM_RUNS):
            run = RunPaths(Path(folder) / "runs" / f"run-{number}")
            settle(run, config, ())
            for attempt in range(NUM_ATTEMPTS):
                _attempt(run, attempt)
        elapsed, used = min(_taken(Path(folder)) for _ in range(REPETITIONS))
    yield Measurement(f"status of {NUM_RUNS} runs, elapsed", elapsed, "s")
    yield Measurement(f"status of {NUM_RUNS} runs, processor", used, "s")


def _taken(folder: Path) -> tuple[float, float]:
    program = str(Path(sys.executable).with_name("wavenet"))
    started, before = time.perf_counter(), _processor()
    subprocess.run([program, "status"], cwd=folder, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started, _processor() - before


def _processor() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


ALL: dict[str, Callable[[], Iterator[Measurement]]] = {"status": many_runs}
