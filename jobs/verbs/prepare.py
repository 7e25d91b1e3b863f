"""``wavenet prepare``: folder of music -> catalogue -> shards."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from omegaconf import MISSING

from jobs import stopped
from jobs.cluster import ClusterConfig, Executor
from jobs.folders import absolute, shown
from jobs.queue import submitted
from jobs.queue.submission import Submission, max_parallel, print_plan, require_slurm
from jobs.terminal import Display, plural
from jobs.verbs import stages
from jobs.verbs.prepared import in_words
from jobs.work import tasks
from jobs.work.arrays import ArrayTask, run_array
from jobs.work.chain import Chain
from wavenet.audio.clips import ClipsConfig
from wavenet.catalogue.genres import GenresConfig
from wavenet.catalogue.split import SplitConfig
from wavenet.catalogue.walk import require_folder
from wavenet.errors import BusyError
from wavenet.settings import key
from wavenet.shards.index import build_index, is_prepared
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
    require_folder(absolute(keys.source))
    if keys.dry_run:
        print_plan([submission(keys)])
    elif keys.cluster.executor is Executor.slurm:
        _submit(keys)
    else:
        _prepare_here(keys, DataPaths(absolute(keys.data)))


def _prepare_here(keys: PrepareKeys, data: DataPaths) -> None:
    display = Display()
    catalogued = display.progress("catalogue: files")
    plan = make_plan(absolute(keys.source), data.root, keys.clips, keys.genres, keys.split, progress=catalogued)
    display.end()
    if is_prepared(data.root, plan.request):
        # Planning has listed the files anew; only the index knows which of them could not be used.
        display.line(f"prepare: {plural(plan.num_recordings, 'recording')} in shards already")
    else:
        run_array("prepare", _work(data.root, plan, keys.cluster), data.jobs, keys.cluster, display)
    build_index(data.root)
    for line in in_words(data):
        display.line(line)


def _submit(keys: PrepareKeys) -> None:
    """Leave all of it to jobs: a login node is no place to read a library of music."""
    require_slurm()
    data = DataPaths(absolute(keys.data))
    if jobs := submitted.in_queue(data):
        raise BusyError(
            f"the data folder {shown(data.root)!r} is being prepared already: {submitted.in_words(jobs)}; "
            f"`wavenet cancel data={shown(data.root)}` ends it"
        )
    stopped.unmark(data)
    add_stages(Chain(data, keys.cluster), keys)
    name = shown(data.root)
    print(f"`wavenet status data={name}` tells how far it is, `wavenet cancel data={name}` ends it")


def add_stages(chain: Chain, keys: PrepareKeys) -> None:
    """Plan, shards and index, each as jobs of their own."""
    source, data = absolute(keys.source), absolute(keys.data)
    chain.add("plan", stages.plan, [(source, data, keys.clips, keys.genres, keys.split)])
    # The plan on disk says where the recordings are.
    chain.add("prepare", stages.write, [(data, world) for world in chain.workers()], sees=[source])
    chain.add("index", stages.index, [(data,)])


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
