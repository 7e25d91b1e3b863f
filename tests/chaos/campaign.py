"""One run and a seeded mix of all that can happen to it: what each blow cost, and whether the bytes are the same."""

from __future__ import annotations

import contextlib
import random
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from jobs.signals import counted_interrupts
from jobs.verbs.costs import Cost, costs_of, differences
from slurm.devcluster.users import as_user
from tests.chaos.faults import FAULTS, ROOM_BYTES, Fault
from tests.chaos.victim import INTERVAL, Victim, wait_for
from tests.cluster.user import SLURM, TINY, User
from wavenet.checkpoint.store import list_committed
from wavenet.run_paths import RunPaths
from wavenet.training.history import read_history

NUM_NODES = 8
GRACE_SECONDS = 4
SETTINGS = ("SlurmdTimeout=10",)  # a node that is silent is given up soon
_STEPS_PER_BLOW = 200  # some seconds of training: most of them it stands still or is being started
_UNTOUCHED_SECONDS = 1800.0


@dataclass(frozen=True)
class Outcome:
    """Of a campaign; ``found`` is one sentence for each thing that should not be."""

    costs: list[Cost]
    found: list[str]
    num_attempts: int
    num_released: int
    seconds: float


def plan(number: int, seed: int) -> list[Fault]:
    """So many faults: each kind as often as its weight says, the first kinds first where they are few.

    In an order in which the run can get ahead: two starts in a row that are hit are a run that does not come up, and
    beside a zombie a start that is hit leaves the run to that one.
    """
    turns = [*FAULTS, *(fault for fault in FAULTS for _ in range(fault.weight - 1))]
    chosen = [turns[place % len(turns)] for place in range(number)]
    chance = random.Random(seed)
    while True:
        order, rest = [], list(chosen)
        while rest:
            is_careful = bool(order) and (order[-1].at_start or order[-1].takes_node)
            possible = [fault for fault in rest if not (is_careful and fault.at_start)]
            if not possible:
                break
            order.append(chance.choice(possible))
            rest.remove(order[-1])
        else:
            return order


@contextlib.contextmanager
def small_disk() -> Iterator[Path]:
    """A file system of its own for the run, which can be filled; it must be there before the nodes are."""
    folder = Path(tempfile.mkdtemp(prefix="wavenet-chaos-", dir="/run"))
    folder.chmod(0o755)
    try:
        options = f"size={ROOM_BYTES},mode=1777"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "wavenet-chaos", str(folder)], check=True)
        try:
            yield folder
        finally:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
    finally:
        folder.rmdir()


def campaign(user: User, folder: Path, faults: Sequence[Fault], seed: int, say: Callable[[str], None]) -> Outcome:
    """Train one run in ``folder`` while the faults happen to it, and one that nothing happens to.

    Ctrl-C leaves out the faults that are still to come.
    """
    started = time.monotonic()
    chance = random.Random(seed)
    words = [
        *TINY,
        f"training.num_steps={_STEPS_PER_BLOW * (len(faults) + 2)}",
        f"training.checkpoint_every={INTERVAL}",
        f"training.keep_every={10 * INTERVAL}",
        "training.validation_every=35",
        "training.validation_windows=1",
    ]
    # What hits this run is no fault of its program's or of its nodes'.
    patience = ["cluster.idle_restarts=1000", "cluster.restart_pause_seconds=0"]
    on_slurm = [*SLURM, "cluster.cpus_per_task=2", "cluster.partition=preemptible", *patience]
    victim = Victim(user, RunPaths(folder / "victim"), [*words, *on_slurm])
    with counted_interrupts() as interrupts, _training_alone(user, words) as untouched:
        victim.begin()
        with victim.attended():
            for number, fault in enumerate(faults, 1):
                if interrupts.count:
                    say("nothing more happens to it: it goes on to its end")
                    break
                victim.fault = fault.name
                fault.strike(victim, chance)
                say(f"{number}/{len(faults)} {fault.name}: attempt {victim.newest_attempt()}")
            victim.fault = "nothing more"
            _wait_for_the_end(victim)
        found = victim.settle()
        costs = costs_of(victim.run, victim.blows)
        found += [*too_dear(costs), *_differences(victim.run, untouched())]
    return Outcome(
        costs, found, len(read_history(victim.run).attempts), victim.num_released, time.monotonic() - started
    )


def _wait_for_the_end(victim: Victim) -> None:
    wait_for(
        lambda: [attempt.cause for attempt in read_history(victim.run).attempts][-1:] == ["finished"],
        "the end of the training",
        victim.story,
        _UNTOUCHED_SECONDS,
    )


@contextlib.contextmanager
def _training_alone(user: User, words: Sequence[str]) -> Iterator[Callable[[], RunPaths]]:
    """The same run without Slurm, meanwhile; what is given waits for its end."""
    run = RunPaths(user.shell.home / "untouched")
    command = [user.program.wavenet, "train", f"run={run.root}", *words, "cluster=local"]
    options = as_user(user.shell.cluster, **user.program.variables)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True, **options) as program:

        def finished() -> RunPaths:
            assert program.wait(_UNTOUCHED_SECONDS) == 0
            return run

        try:
            yield finished
        finally:
            program.terminate()


def too_dear(costs: Sequence[Cost]) -> list[str]:
    most = {fault.name: fault.most_lost for fault in FAULTS}
    return [
        f"{cost.name}: {cost.lost} steps lost, at most {most[cost.name]} may be"
        for cost in costs
        if cost.lost > most[cost.name]
    ]


def _differences(run: RunPaths, untouched: RunPaths) -> list[str]:
    common, differ = differences(run, untouched)
    last = [list_committed(each)[-1].step for each in (run, untouched)]
    if last[0] != last[1] or len(common) < 2:
        return [f"the runs end at {last} and have the checkpoints {common} in common"]
    return [f"step {step} differs from the untouched run's" for step in differ]


def table(costs: Sequence[Cost]) -> Iterator[str]:
    """Markdown: each kind of fault, how often, what it cost."""
    yield "| fault | times | steps lost: median, most (allowed) | seconds to the next step: median, worst |"
    yield "|---|---|---|---|"
    for fault in FAULTS:
        own = [cost for cost in costs if cost.name == fault.name]
        lost, seconds = [cost.lost for cost in own], [cost.seconds for cost in own if cost.seconds is not None]
        if own:
            times = f"{statistics.median(seconds):.0f}, {max(seconds):.0f}" if seconds else "another came first"
            median = f"{statistics.median(lost):.0f}"
            yield f"| {fault.name} | {len(own)} | {median}, {max(lost)} ({fault.most_lost}) | {times} |"
