"""A real array task of generation: how much memory it takes, and how much work it is until its first sample."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jobs.cluster import ClusterConfig
from jobs.terminal import Display
from jobs.work import tasks
from jobs.work.arrays import ArrayTask, run_array
from jobs.work.tasks import GenerateOrder
from tests.benchmarks.evaluation import write_run
from wavenet.generation.config import GenerationConfig, Priming
from wavenet.generation.plan import make_plan
from wavenet.generation.variants import runnable

MOST_BYTES = 200e6
MOST_SECONDS = 2.0


@pytest.mark.skipif(len(runnable()) == 1, reason="the kernel is not built: there is no C++ compiler")
def test_a_task_is_small_and_begins_soon(tmp_path: Path) -> None:
    """All genres of a checkpoint of the reference, three clips each: under 200 MB, and under 2 s of processor time."""
    run = write_run(tmp_path / "run")
    config = GenerationConfig(seconds=0.01, clips_per_pair=3, primings=(Priming.silence,), checkpoints=(1,))
    requests = make_plan(run, config, 0, None)
    order = GenerateOrder(run, requests, tmp_path / "data", 1, 30.0)
    task = ArrayTask("clips", tasks.generate, (order,))
    run_array("generate", [task], run.jobs, ClusterConfig(), Display())
    facts = [json.loads(request.files(run).json.read_bytes()) for request in requests]
    assert {each["num_streams"] for each in facts} == {15}
    assert max(each["peak_memory_bytes"] for each in facts) < MOST_BYTES
    assert max(each["start_up_processor_seconds"] for each in facts) < MOST_SECONDS
