"""``wavenet run``: all stages, one after another, each skipping what is done."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TypeVar

from omegaconf import MISSING

from jobs import stopped
from jobs.cluster import ClusterConfig, Executor
from jobs.folders import DEFAULT_ROOT, absolute, run_paths
from jobs.keys.compose import DEFAULT_PRESET
from jobs.queue.deadlines import notice_of
from jobs.queue.submission import print_plan, require_slurm
from jobs.verbs import stages
from jobs.verbs.generate import generate
from jobs.verbs.generate import submission as generate_submission
from jobs.verbs.generate_keys import GenerateKeys, require_gpus
from jobs.verbs.prepare import PrepareKeys, prepare
from jobs.verbs.prepare import add_stages as add_prepare_stages
from jobs.verbs.prepare import submission as prepare_submission
from jobs.verbs.report import ReportKeys, report
from jobs.verbs.train import TrainKeys, train
from jobs.verbs.train import submission as train_submission
from jobs.work.chain import Chain
from jobs.work.ownership import launching, require_free, require_not_queued
from jobs.work.supervise import Watch, nobody
from wavenet.audio.clips import ClipsConfig
from wavenet.catalogue.genres import GenresConfig
from wavenet.catalogue.split import SplitConfig
from wavenet.catalogue.walk import require_folder
from wavenet.generation.config import GenerationConfig
from wavenet.generation.variants import choose
from wavenet.model.config import ModelConfig
from wavenet.report.config import ReportConfig
from wavenet.settings import key
from wavenet.training.config import TrainingConfig

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class RunKeys:
    """Keys of ``wavenet run``: those of all its stages."""

    source: str = key(MISSING, "folder of music; for example source=~/Music")
    run: str = key(MISSING, "the run's name below root, or its path; for example run=first")
    data: str = key("data", "folder of shards, to be written or as it is")
    root: str = key(DEFAULT_ROOT, "folder of the runs that are given by name")
    model: ModelConfig
    cluster: ClusterConfig
    clips: ClipsConfig
    genres: GenresConfig
    split: SplitConfig
    training: TrainingConfig
    generate: GenerationConfig
    report: ReportConfig
    seed: int = key(0, "decides initial weights, the order of the windows and every draw")
    accept: tuple[str, ...] = key((), "keys in which a run may go on with another value than it began with")
    takeover: bool = key(False, "go on although the last attempt, on another machine, wrote no end")
    dry_run: bool = key(False, "print what would be started and start nothing")
    preset: str = key(DEFAULT_PRESET, "the preset in use, for the record in the run's folder")

    def __post_init__(self) -> None:
        require_gpus(self.generate, self.cluster)


def run(keys: RunKeys, watch: Watch = nobody) -> None:
    """Prepare, train, generate, report; on a cluster, submit the jobs that do."""
    # Found by the first job, a slip of the pen would cost its time in the queue.
    require_folder(absolute(keys.source))
    if keys.dry_run:
        print_plan(
            [
                prepare_submission(part(PrepareKeys, keys)),
                train_submission(part(TrainKeys, keys)),
                generate_submission(part(GenerateKeys, keys)),
            ]
        )
        return
    if keys.cluster.executor is Executor.slurm:
        _submit(keys)
        return
    choose(keys.generate.variant)  # found by generation, after days of training, it would be late
    prepare(part(PrepareKeys, keys))
    train(part(TrainKeys, keys), watch)
    generate(part(GenerateKeys, keys))
    report(part(ReportKeys, keys))


def _submit(keys: RunKeys) -> None:
    """All stages ahead.

    Raises:
        BusyError: a job of the run is in the queue, or somebody trains it.
        UsageError: this machine has no Slurm.
        StageFailedError: Slurm refused.
    """
    require_slurm()
    run, train_keys, generate_keys = run_paths(keys.run, keys.root), part(TrainKeys, keys), part(GenerateKeys, keys)
    require_not_queued(run, takeover=keys.takeover)
    require_free(run, takeover=keys.takeover)
    with launching(run):
        stopped.unmark(run)
        chain = Chain(run, keys.cluster)
        add_prepare_stages(chain, part(PrepareKeys, keys))
        notice = notice_of(train_keys.cluster)
        chain.add("train", stages.train, [(train_keys, notice)], train_submission(train_keys))
        chain.add("generate", stages.generate, [(generate_keys, world) for world in chain.workers()])
        chain.add("report", stages.report, [(part(ReportKeys, keys),)])
    print(f"`wavenet status run={keys.run}` tells how far it is, `wavenet cancel run={keys.run}` ends it")


def part(schema: type[T], keys: RunKeys) -> T:
    """Those of the keys that one stage has."""
    return schema(**{field.name: getattr(keys, field.name) for field in fields(schema)})  # type: ignore[arg-type]  # a dataclass
