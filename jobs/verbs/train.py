"""``wavenet train``: shards -> checkpoints; the same command again resumes."""

from __future__ import annotations

from dataclasses import dataclass, replace

from omegaconf import MISSING

from jobs import stopped
from jobs.cluster import ClusterConfig, Executor
from jobs.folders import DEFAULT_ROOT, absolute, run_paths, shown
from jobs.keys.compose import DEFAULT_PRESET
from jobs.keys.frozen import RunConfig, settle
from jobs.queue.deadlines import Notice, notice_of
from jobs.queue.submission import Submission, print_plan, require_slurm, submit
from jobs.terminal import Display
from jobs.work import slurm_tasks, tasks
from jobs.work.hours import require_hours
from jobs.work.local import LocalJob, fresh_folder, start
from jobs.work.ownership import launching, require_free, require_not_queued
from jobs.work.supervise import Watch, carry_through, nobody
from wavenet import durable
from wavenet.checkpoint.space import require_room
from wavenet.checkpoint.store import list_committed
from wavenet.errors import UsageError
from wavenet.model.config import Conditioning, ModelConfig
from wavenet.run_paths import RunPaths
from wavenet.settings import key
from wavenet.shards.index import DatasetFacts, describe_dataset, open_dataset
from wavenet.training.config import TrainingConfig
from wavenet.training.room import room_needed


@dataclass(frozen=True, kw_only=True)
class TrainKeys:
    """Keys of ``wavenet train``."""

    run: str = key(MISSING, "the run's name below root, or its path; for example run=first")
    data: str = key("data", "folder of shards that `wavenet prepare` wrote")
    root: str = key(DEFAULT_ROOT, "folder of the runs that are given by name")
    model: ModelConfig
    training: TrainingConfig
    seed: int = key(0, "decides initial weights and the order of the windows")
    cluster: ClusterConfig
    accept: tuple[str, ...] = key((), "keys in which a run may go on with another value than it began with")
    takeover: bool = key(False, "go on although the last attempt, on another machine, wrote no end")
    dry_run: bool = key(False, "print what would be started and start nothing")
    preset: str = key(DEFAULT_PRESET, "the preset in use, for the record in the run's folder")


def train(keys: TrainKeys, watch: Watch = nobody) -> None:
    """Train the run to its end, or submit the job that does."""
    if keys.dry_run:
        print_plan([submission(keys)])
        return
    run = run_paths(keys.run, keys.root)
    # A login node that only submits has nothing to open shards with; there each attempt looks at them.
    is_here = keys.cluster.executor is Executor.local
    dataset = open_dataset(absolute(keys.data)) if is_here else describe_dataset(absolute(keys.data))
    if not is_here:
        require_slurm()
    require_not_queued(run, takeover=keys.takeover)
    require_free(run, takeover=keys.takeover)
    with launching(run):
        order = ordered(run, keys, dataset, notice_of(keys.cluster))
        display = Display()
        if _is_finished(run, keys.training):
            display.line(
                f"the run {run.name!r} is finished: step {keys.training.num_steps} is in {shown(run.checkpoints)}"
            )
            return
        require_hours(run, keys.training.max_hours)  # or it would wait in a queue for nothing
        _require_room(run, order)
        stopped.unmark(run)
        if keys.cluster.executor is Executor.slurm:
            submit(submission(keys), fresh_folder(run.jobs, "train"), slurm_tasks.run, [(tasks.train, order)])
            return
        _train_here(run, keys, order, display, watch)


def _require_room(run: RunPaths, order: tasks.TrainOrder) -> None:
    """Refuse what would not fit before it has waited in a queue; each attempt looks again, on its own node."""
    need = room_needed(order.model, order.training, [checkpoint.step for checkpoint in list_committed(run)])
    if need is not None:
        # Nobody is at the run: no attempt has the number 0, and the next one tidies away what a kill leaves here.
        require_room(run.checkpoint_room(0), need)


def _train_here(run: RunPaths, keys: TrainKeys, order: tasks.TrainOrder, display: Display, watch: Watch) -> None:
    def attempt(restart_count: int) -> LocalJob:
        folder = fresh_folder(run.jobs, "train")
        this = replace(order, restart_count=restart_count, rendezvous=folder / "rendezvous.json")
        return start(folder, keys.cluster, keys.training.processes, tasks.train, this)

    outcome = carry_through(run, attempt, keys.cluster, num_steps=keys.training.num_steps, display=display, watch=watch)
    display.line(f"finished at step {outcome.step}; checkpoints are in {shown(run.checkpoints)}")


def fitting(model: ModelConfig, dataset: DatasetFacts) -> ModelConfig:
    """``model`` with one condition for each class of the data.

    Raises:
        UsageError: conditioning by a vector, which no shard holds.
    """
    if model.conditioning is Conditioning.vector:
        raise UsageError("model.conditioning must be label or none here, got vector: shards hold class labels")
    if model.conditioning is Conditioning.none:
        return model
    return replace(model, num_conditions=len(dataset.classes))


def _freeze(run: RunPaths, keys: TrainKeys, model: ModelConfig, dataset: DatasetFacts) -> tuple[str, ...]:
    config = RunConfig(
        preset=keys.preset,
        seed=keys.seed,
        data=str(absolute(keys.data)),
        data_digest=dataset.digest,
        model=model,
        training=keys.training,
    )
    accept = settle(run, config, keys.accept)
    durable.create_exclusively(run.data_facts, durable.to_json(dataset.facts()).encode())
    return accept


def _is_finished(run: RunPaths, training: TrainingConfig) -> bool:
    return any(checkpoint.step >= training.num_steps for checkpoint in list_committed(run))


def ordered(run: RunPaths, keys: TrainKeys, dataset: DatasetFacts, notice: Notice) -> tasks.TrainOrder:
    """What an attempt is to do, with the run's configuration frozen, or held against the frozen one."""
    model = fitting(keys.model, dataset)
    accept = _freeze(run, keys, model, dataset)
    return tasks.TrainOrder(
        run=run,
        data=absolute(keys.data),
        model=model,
        training=keys.training,
        seed=keys.seed,
        accept=accept,
        restart_count=0,
        rendezvous=run.jobs / "rendezvous.json",
        takeover=keys.takeover,
        notice=notice,
    )


def submission(keys: TrainKeys) -> Submission:
    """What a scheduler is asked for."""
    name = f"wavenet-train-{run_paths(keys.run, keys.root).name}"
    return Submission.of(
        keys.cluster,
        name,
        num_tasks=keys.training.processes,
        threads=keys.training.threads,
        nodes=keys.cluster.nodes,
        most_idle=keys.cluster.idle_restarts,
    )
