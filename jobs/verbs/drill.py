"""``wavenet drill``: one short training left alone, one through all that can be done to it here, and their bytes."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from jobs.cluster import ClusterConfig, Executor
from jobs.folders import absolute, shown
from jobs.keys.frozen import read_config
from jobs.queue.submission import require_slurm
from jobs.terminal import Display, plural
from jobs.verbs.cancel import CancelKeys, cancel
from jobs.verbs.costs import Cost, costs_of, differences
from jobs.verbs.interruptions import Interruption, Target, here, interrupt, on_slurm, watch_jobs
from jobs.verbs.prepare import PrepareKeys, prepare
from jobs.verbs.train import TrainKeys, train
from jobs.verbs.typed import Typist
from wavenet.errors import UnfitError, UsageError
from wavenet.run_paths import RunPaths
from wavenet.settings import key
from wavenet.training.history import read_history

_POLL_SECONDS = {Executor.local: 0.05, Executor.slurm: 0.5}
# Enough for all that is to happen, between two looks at it: in a queue nobody stands beside the process.
_NUM_STEPS = {Executor.local: 400, Executor.slurm: 2000}
_OUT_OF_REACH = "not in a user's power: preemption, the loss of a node; they take the same way back"


@dataclass(frozen=True, kw_only=True)
class DrillKeys:
    """Keys of ``wavenet drill``."""

    folder: str = key("drill", "folder to write, which must not be there yet: music, data and two runs")
    cluster: ClusterConfig
    seed: int = key(0, "decides the music, the weights and every draw")


def drill(keys: DrillKeys) -> None:
    """Train twice, and compare.

    Raises:
        UnfitError: a byte differs, or more steps were lost than may be.
        UsageError: the folder is there already, or there is no Slurm.
        StageFailedError: the run that was interrupted did not come back.
    """
    folder, display = absolute(keys.folder), Display()
    if folder.exists():
        raise UsageError(
            f"folder={keys.folder} must not be there yet; remove what an earlier drill left, or name another"
        )
    if keys.cluster.executor is Executor.slurm:
        require_slurm()
    typist = Typist("drill", display)
    typist.make_music(folder / "music", keys.seed, seconds=3.0, recordings_share=0.25)
    data = f"data={shown(folder / 'data')}"
    typist.type("prepare", PrepareKeys, prepare, [f"source={shown(folder / 'music')}", data, "cluster=local"])
    alone, hit = RunPaths(folder / "untouched"), RunPaths(folder / "interrupted")

    def start(run: RunPaths) -> None:
        place = [data, f"run={shown(run.root)}", f"seed={keys.seed}", f"cluster={keys.cluster.executor.name}"]
        words = [*place, f"training.num_steps={_NUM_STEPS[keys.cluster.executor]}"]
        typist.type("train", TrainKeys, lambda own: train(replace(own, cluster=_without_pause(keys.cluster))), words)

    target = Target(hit, display, _POLL_SECONDS[keys.cluster.executor])
    if keys.cluster.executor is Executor.slurm:
        interruptions, refused = on_slurm(), _on_slurm(start, typist, alone, target)
    else:
        start(alone)
        interruptions, refused = here(), _here(start, target)
    costs = costs_of(hit, target.blows)
    _tell(display, interruptions, costs, refused)
    if keys.cluster.executor is Executor.slurm:
        display.line(_OUT_OF_REACH)
    _judge(alone, hit, interruptions, costs, display)
    where = shlex.quote(shown(folder))
    display.line(f"done in {typist.spent()}; everything is in {where} and can be removed: rm -r {where}")


def _without_pause(cluster: ClusterConfig) -> ClusterConfig:
    return replace(cluster, restart_pause_seconds=0.0)


def _here(start: Callable[[RunPaths], None], target: Target) -> dict[str, str]:
    with ThreadPoolExecutor(1) as pool:
        told = pool.submit(interrupt, target, here())
        try:
            start(target.run)
        finally:
            target.is_over.set()
        return told.result()


def _on_slurm(start: Callable[[RunPaths], None], typist: Typist, alone: RunPaths, target: Target) -> dict[str, str]:
    with _cancelled_unless_done(alone, target.run), ThreadPoolExecutor(1) as pool:
        start(alone)
        start(target.run)
        told = pool.submit(interrupt, target, on_slurm())
        try:
            typist.timed("train", lambda: watch_jobs(target))
        finally:
            target.is_over.set()
        typist.timed("train", lambda: watch_jobs(Target(alone, target.display, target.poll_seconds)))
        return told.result()


@contextlib.contextmanager
def _cancelled_unless_done(*runs: RunPaths) -> Iterator[None]:
    try:
        yield
    except BaseException:
        for run in runs:
            if run.root.is_dir():
                cancel(CancelKeys(run=str(run.root)))
        raise


def _tell(
    display: Display, interruptions: Sequence[Interruption], costs: Sequence[Cost], refused: Mapping[str, str]
) -> None:
    width = max(len(one.name) for one in interruptions)
    display.line(f"\n{'interruption':{width}}  {'how the attempt ended':36}  steps lost  next step after")
    for cost in costs:
        ended = "killed before it claimed the run" if cost.hit is None else _end(cost.hit.cause, cost.hit.detail)
        seconds = "-" if cost.seconds is None else f"{cost.seconds:.1f} s"
        display.line(f"{cost.name:{width}}  {ended:36}  {cost.lost:10}  {seconds:>15}")
    for name, reason in refused.items():
        display.line(f"{name:{width}}  not allowed here: {reason}")


def _end(cause: str, detail: str) -> str:
    return f"{cause}: {detail}" if detail and len(detail) < 30 else cause


def _judge(
    alone: RunPaths, hit: RunPaths, interruptions: Sequence[Interruption], costs: Sequence[Cost], display: Display
) -> None:
    interval = (read_config(hit) or {})["training"]["checkpoint_every"]
    most = {one.name: one.most_lost * interval for one in interruptions}
    for cost in costs:
        if cost.lost > most[cost.name]:
            raise UnfitError(f"{cost.name} lost {plural(cost.lost, 'step')}; at most {most[cost.name]} may be")
    common, differ = differences(alone, hit)
    if differ or not common:
        hosts = [sorted({attempt.host for attempt in read_history(run).attempts}) for run in (alone, hit)]
        raise UnfitError(
            f"{len(differ)} of {plural(len(common), 'common checkpoint')} differ from the untouched run's, first that "
            f"of step {min(differ, default=0)}; the runs were on {' '.join(hosts[0])} and {' '.join(hosts[1])}"
        )
    display.line(f"\n{plural(len(common), 'checkpoint')} of both runs compared: every byte is the same")
