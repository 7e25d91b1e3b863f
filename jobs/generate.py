"""``wavenet generate``: genre x checkpoint -> audio, one array task for all the genres of a checkpoint."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from omegaconf import MISSING

from jobs import slurm_tasks, tasks
from jobs.arrays import ArrayTask, run_array
from jobs.cluster import ClusterConfig, Executor
from jobs.folders import DEFAULT_ROOT, absolute, run_paths, shown
from jobs.local import fresh_folder
from jobs.submission import Submission, print_plan, require_slurm, submit
from jobs.terminal import Display, duration, plural
from wavenet.generation.config import GenerationConfig
from wavenet.generation.plan import is_done, make_plan
from wavenet.generation.requests import ClipRequest
from wavenet.run_paths import RunPaths
from wavenet.settings import key


@dataclass(frozen=True, kw_only=True)
class GenerateKeys:
    """Keys of ``wavenet generate``."""

    run: str = key(MISSING, "the run's name below root, or its path; for example run=first")
    root: str = key(DEFAULT_ROOT, "folder of the runs that are given by name")
    data: str = key("data", "folder of shards, for the excerpts of continuations; by default the run's")
    seed: int = key(0, "decides every draw; by default the run's")
    generate: GenerationConfig
    cluster: ClusterConfig
    dry_run: bool = key(False, "print what would be started and start nothing")


def generate(keys: GenerateKeys) -> None:
    """Generate every chosen pair of genre and checkpoint that is not there yet."""
    run = run_paths(keys.run, keys.root)
    data = absolute(keys.data)
    display = Display()
    planned = make_plan(run, keys.generate, keys.seed, data if data.is_dir() else None, display.line)
    missing = [request for request in planned if not is_done(run, request)]
    work = _by_checkpoint(run, missing, data)
    there = f", {len(planned) - len(missing)} of them there already" if len(missing) < len(planned) else ""
    display.line(f"generate: {plural(len(planned), 'clip')} of {plural(len(_steps(planned)), 'checkpoint')}{there}")
    if keys.dry_run:
        print_plan([submission(keys, len(work))])
        return
    if keys.cluster.executor is Executor.slurm:
        require_slurm()
        calls = [(tasks.work, task.function, *task.arguments) for task in work]
        submit(submission(keys, len(work)), fresh_folder(run.jobs, "generate"), slurm_tasks.run, calls)
        return
    run_array("generate", work, run.jobs, keys.cluster, display)
    for line in _in_words(run, planned):
        display.line(line)


def submission(keys: GenerateKeys, num_checkpoints: int | None = None) -> Submission:
    """What a scheduler is asked for; how many checkpoints there will be is not known before training."""
    name = f"wavenet-generate-{run_paths(keys.run, keys.root).name}"
    return Submission.of(keys.cluster, name, num_jobs=num_checkpoints)


def _by_checkpoint(run: RunPaths, requests: Sequence[ClipRequest], data: Path) -> list[ArrayTask]:
    """One task for each checkpoint: its streams share every read of the weights."""
    by_step: dict[int, list[ClipRequest]] = {}
    for request in requests:
        by_step.setdefault(request.step, []).append(request)
    return [
        ArrayTask(f"step {step}", tasks.generate, (run, tuple(group), data)) for step, group in sorted(by_step.items())
    ]


def _steps(requests: Sequence[ClipRequest]) -> set[int]:
    return {request.step for request in requests}


def _in_words(run: RunPaths, requests: Sequence[ClipRequest]) -> Iterator[str]:
    """How long the clips took, as their files say, so that a clip of an earlier start counts as well."""
    made = [json.loads(request.files(run).json.read_text("utf-8")) for request in requests]
    taken = [sum(facts["seconds_taken"].values()) for facts in made]
    seconds = sum(facts["generated_seconds"] for facts in made)
    mean = sum(taken) / len(taken)
    yield f"{duration(seconds)} of audio took {duration(sum(taken))} in all, {mean:.2f} seconds a clip on average"
    yield f"audio: {shown(run.generated)}"
