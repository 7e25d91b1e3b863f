"""``wavenet prepare``: folder of music -> catalogue -> shards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from omegaconf import MISSING

from jobs import slurm_tasks, tasks
from jobs.arrays import ArrayTask, run_array
from jobs.cluster import ClusterConfig, Executor
from jobs.folders import absolute, shown
from jobs.local import fresh_folder
from jobs.submission import Submission, max_parallel, print_plan, require_slurm, submit
from jobs.terminal import Display, plural
from wavenet.audio.clips import ClipsConfig
from wavenet.catalogue.genres import GenresConfig
from wavenet.catalogue.split import SplitConfig
from wavenet.settings import key
from wavenet.shards.index import build_index, is_prepared, read_facts
from wavenet.shards.layout import DataPaths
from wavenet.shards.plan import Plan, make_plan
from wavenet.world import World


@dataclass(frozen=True, kw_only=True)
class PrepareKeys:
    """Keys of ``wavenet prepare``."""

    source: str = key(MISSING, "folder of music; for example source=~/Music")
    data: str = key("data", "folder of shards to write")
    cluster: ClusterConfig
    clips: ClipsConfig
    genres: GenresConfig
    split: SplitConfig
    dry_run: bool = key(False, "print what would be started and start nothing")


def prepare(keys: PrepareKeys) -> None:
    """Catalogue the music and write its shards; what is written already is not written again."""
    data, cluster = absolute(keys.data), keys.cluster
    if keys.dry_run:
        print_plan([submission(keys)])
        return
    if cluster.executor is Executor.slurm:
        require_slurm()
    display = Display()
    plan = make_plan(
        absolute(keys.source), data, keys.clips, keys.genres, keys.split, progress=display.progress("catalogue: files")
    )
    display.end()
    if is_prepared(data, plan.request):
        # Planning has listed the files anew; only the index knows which of them could not be used.
        build_index(data)
        display.line(f"prepare: {plural(plan.num_recordings, 'recording')} in shards already")
    else:
        work = _work(data, plan, cluster)
        if cluster.executor is Executor.slurm:
            calls = [(tasks.work, task.function, *task.arguments) for task in work]
            folder = fresh_folder(data / "jobs", "prepare")
            workers = submit(submission(keys, len(work)), folder, slurm_tasks.run, calls)
            last = (folder, len(work), tasks.index, data)
            small = replace(submission(keys, 1), name=f"wavenet-index-{data.name}")
            submit(small, fresh_folder(data / "jobs", "index"), slurm_tasks.run_after, [last], after=workers)
            return
        run_array("prepare", work, data / "jobs", cluster, display)
        build_index(data)
    for line in _in_words(read_facts(data), data):
        display.line(line)


def submission(keys: PrepareKeys, num_workers: int | None = None) -> Submission:
    """What a scheduler is asked for; without a plan as many workers as the profile allows."""
    name = f"wavenet-prepare-{absolute(keys.data).name}"
    return Submission.of(keys.cluster, name, num_jobs=num_workers or max_parallel(keys.cluster))


def _work(data: Path, plan: Plan, cluster: ClusterConfig) -> list[ArrayTask]:
    """Worker i of N writes the shards i mod N: how many there are need not be known when workers are submitted."""
    size = max(1, min(max_parallel(cluster), len(plan.shards)))
    return [
        ArrayTask(f"share {rank + 1} of {size}", tasks.write_share, (data, World(rank, size))) for rank in range(size)
    ]


def _in_words(facts: Mapping[str, Any], data: Path) -> Iterator[str]:
    """Totals per class, and why the rest was not taken."""
    width = max(len(one["name"]) for one in facts["classes"])
    for one in facts["classes"]:
        count = plural(one["num_recordings"], "recording")
        train, held_out = _amount(one["train_hours"]), _amount(one["validation_hours"])
        yield f"  {one['name']:<{width}}  {count}, {train} to train on, {held_out} held out"
    for genre in facts.get("missing_genres", []):
        yield f"  {genre:<{width}}  no recording was taken, so it is no class"
    found, taken = facts["num_recordings_found"], facts["num_recordings_taken"]
    if taken < found:
        reasons = ", ".join(f"{one['count']} x {one['reason']}" for one in facts["not_taken"])
        yield f"{found - taken} of {plural(found, 'file')} not taken ({reasons}): {shown(DataPaths(data).catalogue)}"
    yield f"shards: {shown(data)}"


def _amount(hours: float) -> str:
    return f"{hours:.1f} hours" if hours >= 1 else f"{60 * hours:.1f} minutes"
