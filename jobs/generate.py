"""``wavenet generate``: genre x checkpoint -> audio, as an array."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from omegaconf import MISSING

from jobs import slurm_tasks, stopped, submitted, tasks
from jobs.arrays import ArrayTask, run_array
from jobs.cluster import ClusterConfig, Executor
from jobs.folders import DEFAULT_ROOT, absolute, run_paths, shown
from jobs.local import fresh_folder
from jobs.submission import Submission, print_plan, require_slurm, submit
from jobs.tasks import GenerateOrder
from jobs.terminal import Display, duration, plural
from wavenet.errors import BusyError
from wavenet.generation.config import GenerationConfig
from wavenet.generation.plan import is_done, make_plan
from wavenet.generation.requests import ClipRequest, remove_leftovers
from wavenet.generation.variants import slower_path
from wavenet.run_paths import RunPaths
from wavenet.settings import key

Pack = tuple[ClipRequest, ...]
"""What one array task makes: clips of one checkpoint."""


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
    packs = packed(missing, keys.cluster.pairs_per_task)
    there = f", {len(planned) - len(missing)} of them there already" if len(missing) < len(planned) else ""
    display.line(f"generate: {plural(len(planned), 'clip')} of {plural(len(_steps(planned)), 'checkpoint')}{there}")
    if packs and (sentence := slower_path()):
        display.line(sentence)
    if keys.dry_run:
        print_plan([submission(keys, len(packs))])
        return
    if packs and keys.cluster.executor is Executor.slurm:
        _submit(keys, run, packs, data)
        return
    orders = [GenerateOrder(run, pack, data, 1, keys.generate.save_seconds) for pack in packs]
    work = [ArrayTask(_name(order.requests), tasks.generate, (order,)) for order in orders]
    run_array("generate", work, run.jobs, keys.cluster, display)
    for line in _in_words(run, planned):
        display.line(line)


def _submit(keys: GenerateKeys, run: RunPaths, packs: Sequence[Pack], data: Path) -> None:
    require_slurm()
    asked = submission(keys, len(packs))
    if busy := [job for job in submitted.in_queue(run) or () if job.name == asked.name]:
        raise BusyError(
            f"the run {run.name!r} generates already: {submitted.in_words(busy)}; wait for their end, "
            f"or `wavenet cancel run={run.name}` ends them"
        )
    stopped.unmark(run)
    remove_leftovers(run, [request for pack in packs for request in pack])
    threads, save_seconds = keys.generate.threads, keys.generate.save_seconds
    calls = [(tasks.work, tasks.generate, GenerateOrder(run, pack, data, threads, save_seconds)) for pack in packs]
    submit(asked, fresh_folder(run.jobs, "generate"), slurm_tasks.run, calls)


def submission(keys: GenerateKeys, num_tasks: int | None = None) -> Submission:
    """What a scheduler is asked for; how many checkpoints there will be is not known before training."""
    name = f"wavenet-generate-{run_paths(keys.run, keys.root).name}"
    return Submission.of(keys.cluster, name, num_jobs=num_tasks, threads=max(1, keys.generate.threads))


def packed(requests: Sequence[ClipRequest], pairs_per_task: int) -> list[Pack]:
    """The clips of each array task: those of so many pairs of genre and checkpoint.

    A pair is never divided, and checkpoints do not share a task: each would have to be read.

    Args:
        requests: as `make_plan` orders them, by checkpoint and class.
        pairs_per_task: at most; 0: all of a checkpoint.
    """
    packs: list[Pack] = []
    for _, of_checkpoint in groupby(requests, lambda request: request.step):
        pairs = [tuple(pair) for _, pair in groupby(of_checkpoint, lambda request: request.class_id)]
        size = pairs_per_task or len(pairs)
        packs += [sum(pairs[first : first + size], ()) for first in range(0, len(pairs), size)]
    return packs


def _name(pack: Sequence[ClipRequest]) -> str:
    """For messages; different for each pack of a plan."""
    names = list(dict.fromkeys(request.class_name for request in pack))
    return f"step {pack[0].step}: {names[0]}" + (f" and {len(names) - 1} others" if len(names) > 1 else "")


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
