"""The stages of a chain as Slurm starts them: each finds out its work when it begins, from what is on disk."""

from __future__ import annotations

from pathlib import Path

from jobs import signals
from jobs.folders import absolute, run_paths
from jobs.queue.deadlines import Notice
from jobs.results import Done, Failed, caught
from jobs.verbs.generate_keys import GenerateKeys
from jobs.verbs.prepared import in_words
from jobs.verbs.report import ReportKeys
from jobs.verbs.train import TrainKeys, ordered
from jobs.work import tasks
from jobs.work.packing import packed
from jobs.work.tasks import GenerateOrder
from wavenet.audio.clips import ClipsConfig
from wavenet.catalogue.genres import GenresConfig
from wavenet.catalogue.split import SplitConfig
from wavenet.generation.plan import make_plan as plan_clips
from wavenet.progress import Progress, silent
from wavenet.shards.index import open_dataset
from wavenet.shards.layout import DataPaths
from wavenet.shards.plan import make_plan
from wavenet.world import World


def plan(source: Path, data: Path, clips: ClipsConfig, genres: GenresConfig, split: SplitConfig) -> Done | Failed:
    """Catalogue the music and decide what each shard will hold."""

    def planned(progress: Progress) -> int:
        return make_plan(source, data, clips, genres, split, progress=progress).num_recordings

    return tasks.work(planned)


def write(data: Path, world: World) -> Done | Failed:
    """The share of worker ``world.rank``."""
    return tasks.work(tasks.write_share, data, world)


def index(data: Path) -> Done | Failed:
    """Complete the data folder, and say what it holds."""
    result = tasks.index(data)
    if isinstance(result, Done):
        for line in in_words(DataPaths(data)):
            tasks.announce(line)
    return result


def train(keys: TrainKeys, notice: Notice) -> Done | Failed:
    """One attempt at the run."""
    run = run_paths(keys.run, keys.root)
    order: list[tasks.TrainOrder] = []
    failed = caught(lambda: order.append(ordered(run, keys, open_dataset(absolute(keys.data)), notice)))
    return tasks.train(order[0]) if order else failed


def generate(keys: GenerateKeys, world: World) -> Done | Failed:
    """The packs i mod N of all that are planned, each with its clips that are not there yet."""
    return tasks.work(_generate, keys, world)


def _generate(keys: GenerateKeys, world: World, progress: Progress) -> list[Path]:
    run, data = run_paths(keys.run, keys.root), absolute(keys.data)
    # Shares are of everything that is planned: what is missing changes while the other workers work.
    planned = plan_clips(run, keys.generate, keys.seed, data, tasks.announce)
    packs = packed(planned, keys.cluster.pairs_per_task)
    made: list[Path] = []
    for number in world.share(len(packs)):
        order = GenerateOrder(run, packs[number], data, keys.generate.threads, keys.generate.save_seconds)
        made += tasks.generate(order, progress)
    return made


def report(keys: ReportKeys) -> Done | Failed:
    """Write the run's report."""
    from wavenet.report.page import write_report

    signals.end_at_once()
    return caught(lambda: write_report(run_paths(keys.run, keys.root), keys.report, silent))
