"""``wavenet generate``: genre x checkpoint -> audio, as an array."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from importlib import util
from pathlib import Path

from jobs import stopped
from jobs.cluster import Executor
from jobs.environment import num_cores
from jobs.folders import absolute, run_paths, shown
from jobs.progress.stage_progress import note_clips
from jobs.queue import submitted
from jobs.queue.submission import Submission, max_parallel, print_plan, require_slurm, submit
from jobs.terminal import Display, duration, plural
from jobs.verbs import stages
from jobs.verbs.generate_keys import GenerateKeys
from jobs.work import slurm_tasks, tasks
from jobs.work.arrays import ArrayTask, run_array
from jobs.work.chain import Chain
from jobs.work.local import fresh_folder
from jobs.work.packing import Plan, describe, packed
from jobs.work.tasks import GenerateOrder
from wavenet.checkpoint.store import list_committed
from wavenet.errors import BusyError, InputError
from wavenet.generation.estimate import Pace, measure, remember
from wavenet.generation.plan import is_done, make_plan
from wavenet.generation.requests import ClipRequest, remove_leftovers
from wavenet.generation.restore import checkpoint_of
from wavenet.generation.variants import choose, slower_path
from wavenet.run_paths import RunPaths


def generate(keys: GenerateKeys) -> None:
    """Generate every chosen pair of genre and checkpoint that is not there yet."""
    run = run_paths(keys.run, keys.root)
    if keys.cluster.executor is Executor.slurm and util.find_spec("h5py") is None:
        _submit_unplanned(keys, run)
        return
    data = absolute(keys.data)
    display = Display()
    planned = make_plan(run, keys.generate, keys.seed, data if data.is_dir() else None, display.line)
    missing = [request for request in planned if not is_done(run, request)]
    there = f", {len(planned) - len(missing)} of them there already" if len(missing) < len(planned) else ""
    display.line(f"generate: {plural(len(planned), 'clip')} of {plural(len(_steps(planned)), 'checkpoint')}{there}")
    plan = _plan(keys, missing)
    if missing:
        if keys.cluster.executor is Executor.local:
            choose(keys.generate.variant)  # a cluster's nodes may have what this machine lacks
        if sentence := slower_path():
            display.line(sentence)
        display.line(plan.in_words(_pace(keys, run, plan)))
    if keys.dry_run:
        print_plan([submission(keys, len(plan.packs))])
        return
    if missing and keys.cluster.executor is Executor.slurm:
        _submit(keys, run, plan, data)
        return
    remove_leftovers(run, missing)
    work = [
        ArrayTask(describe(order.requests), tasks.generate, (order,), len(order.requests))
        for order in _orders(keys, run, plan, data)
    ]
    run_array("generate", work, run.jobs, keys.cluster, display, noun="clip")
    for line in _in_words(run, planned):
        display.line(line)


def _plan(keys: GenerateKeys, requests: Sequence[ClipRequest]) -> Plan:
    """Who makes what. On a cluster a task's threads are as many as the cores that it asks for."""
    at_once = max_parallel(keys.cluster)
    if keys.cluster.executor is Executor.slurm:
        packs = packed(requests, keys.cluster.pairs_per_task)
        return Plan(packs, at_once, keys.generate.threads or max(1, keys.cluster.cpus_per_task))
    packs = packed(requests, keys.cluster.pairs_per_task, at_once)
    # What is left of the cores where there are fewer tasks than that; a clip is drawn by one thread.
    spare = max(1, min(num_cores() // max(1, min(at_once, len(packs))), max(map(len, packs), default=1)))
    return Plan(packs, at_once, keys.generate.threads or spare)


def _pace(keys: GenerateKeys, run: RunPaths, plan: Plan) -> Pace | None:
    """On a cluster rather that of earlier clips: they were made on its nodes, and this is the login node."""
    largest = max(plan.packs, key=len)
    if keys.cluster.executor is Executor.slurm and (pace := remember(run, keys.generate.variant)):
        return pace
    return measure(largest, checkpoint_of(run, largest[0])) or remember(run, keys.generate.variant)


def _orders(keys: GenerateKeys, run: RunPaths, plan: Plan, data: Path) -> list[GenerateOrder]:
    # On a cluster the task sees best how many cores it was given.
    threads = keys.generate.threads if keys.cluster.executor is Executor.slurm else plan.threads
    return [GenerateOrder(run, pack, data, threads, keys.generate.save_seconds) for pack in plan.packs]


def _submit_unplanned(keys: GenerateKeys, run: RunPaths) -> None:
    """From a login node that only submits, and cannot open shards: the jobs find out what there is to make."""
    if not list_committed(run):
        raise InputError("there is no checkpoint to generate with; train or import one first")
    chain = Chain(run, keys.cluster)
    workers = chain.workers()
    asked = submission(keys, len(workers))
    if keys.dry_run:
        print_plan([asked])
        return
    _require_idle(run, asked)
    chain.add("generate", stages.generate, [(keys, world) for world in workers], asked)


def _require_idle(run: RunPaths, asked: Submission) -> None:
    require_slurm()
    if busy := [job for job in submitted.in_queue(run) or () if job.name == asked.name]:
        raise BusyError(
            f"the run {run.name!r} generates already: {submitted.in_words(busy)}; wait for their end, "
            f"or `wavenet cancel run={run.name}` ends them"
        )
    stopped.unmark(run)


def _submit(keys: GenerateKeys, run: RunPaths, plan: Plan, data: Path) -> None:
    asked = submission(keys, len(plan.packs))
    _require_idle(run, asked)
    remove_leftovers(run, [request for pack in plan.packs for request in pack])
    calls = [(tasks.work, tasks.generate, order) for order in _orders(keys, run, plan, data)]
    folder = fresh_folder(run.jobs, "generate")
    note_clips(folder, [len(pack) for pack in plan.packs])
    submit(asked, folder, slurm_tasks.run, calls)


def submission(keys: GenerateKeys, num_tasks: int | None = None) -> Submission:
    """What a scheduler is asked for; how many checkpoints there will be is not known before training."""
    name = f"wavenet-generate-{run_paths(keys.run, keys.root).name}"
    return Submission.of(keys.cluster, name, num_jobs=num_tasks, threads=max(1, keys.generate.threads))


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
