"""A whole evaluation by the ordinary command: 4 checkpoints x 5 genres x 30 seconds of the reference, WAV and MP3.

``python -m tests.benchmarks.evaluation SECONDS VARIANT`` makes shorter clips, where a machine is slow or busy, or pins
what computes.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.benchmarks.measurements import NUM_GENRES, Measurement, preset
from wavenet.checkpoint import store
from wavenet.checkpoint.ledger import Ledger, Owner
from wavenet.generation.config import Variant
from wavenet.model.arrays import initial_arrays
from wavenet.run_paths import RunPaths

NUM_CHECKPOINTS = 4
SECONDS = 30.0


def write_run(root: Path) -> RunPaths:
    """Checkpoints of the reference preset that have learnt nothing: noise takes as long to draw as music."""
    run, config = RunPaths(root), preset("reference")
    ledger = Ledger.claim(run, Owner("host", 1, 1))
    for step in range(1, NUM_CHECKPOINTS + 1):
        facts = {
            "step": step,
            "position": step,
            "model": config.to_dict(),
            "sample_rate_hz": 16_000,
            "classes": [f"genre {number}" for number in range(NUM_GENRES)],
            "data_digest": "",
            "identity": {},
        }
        store.commit(run, ledger, facts, {"weights": initial_arrays(config, step)})
    return run


def _processor_seconds() -> float:
    """Of all processes that this one has started and that have ended, with those that they waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def evaluation(seconds: float = SECONDS, variant: Variant = Variant.auto) -> Iterator[Measurement]:
    """From the command's start to its end on two cores, and where the time went."""
    with tempfile.TemporaryDirectory() as folder:
        run = write_run(Path(folder) / "run")
        words = ["cluster=local", "cluster.max_parallel=2", "generate.primings=[silence]"]
        words += [f"generate.variant={variant.value}", f"generate.seconds={seconds}"]
        command = [sys.executable, "-c", "from jobs.cli import main; raise SystemExit(main())"]
        began, used = time.perf_counter(), _processor_seconds()
        command += ["generate", f"run={run.root}", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        taken, used = time.perf_counter() - began, _processor_seconds() - used
        if done.returncode:
            sys.exit(done.stderr)
        clips = [json.loads(path.read_text("utf-8")) for path in sorted(run.generated.glob("*.json"))]
    assert len(clips) == NUM_CHECKPOINTS * NUM_GENRES
    yield from _breakdown(f"evaluation, {len(clips)} clips of {seconds:g} s", clips, taken, used)


def _breakdown(what: str, clips: list[dict[str, Any]], taken: float, used: float) -> Iterator[Measurement]:
    tasks = {clip["step"]: clip for clip in clips}.values()
    yield Measurement(f"{what}, from the command to its end", taken, "s")
    yield Measurement(f"{what}, processor time of all processes", used, "s")
    for name, words in (("start_up_seconds", ""), ("start_up_processor_seconds", ", processor time")):
        start = statistics.median(task[name] for task in tasks)
        yield Measurement(f"{what}, start-up of a task{words}", start, "s")
    for part in ("priming", "sampling", "encoding"):
        total = sum(clip["seconds_taken"][part] for clip in clips)
        yield Measurement(f"{what}, {part}, sum of all tasks", total, "s")
    rates = [task["samples_per_second"] for task in tasks]
    yield Measurement(f"{what}, rate of a task, {clips[0]['variant']}", statistics.median(rates), "samples/s")
    peak = max(task["peak_memory_bytes"] for task in tasks)
    yield Measurement(f"{what}, peak memory of a task", peak / 2**20, "MiB")
    yield Measurement("load of the machine over the last minute", os.getloadavg()[0], "processes")


ALL: dict[str, Callable[[], Iterator[Measurement]]] = {"evaluation": evaluation}


if __name__ == "__main__":
    seconds, variant, *_ = [*sys.argv[1:], *(str(SECONDS), Variant.auto.value)[len(sys.argv) - 1 :]]
    for measurement in evaluation(float(seconds), Variant(variant)):
        print(f"{measurement.what:<62} {measurement.value:>10,.4g} {measurement.unit}", flush=True)
