"""What can happen to a run on a cluster, each done for real."""

from __future__ import annotations

import os
import random
import re
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from jobs.processes import started_tick
from slurm.devcluster import cluster as clusters
from slurm.devcluster import daemons, nodes
from slurm.devcluster.commands import ask, do
from slurm.devcluster.processes import with_role
from slurm.devcluster.record import Cluster
from tests.chaos.victim import INTERVAL, Victim, is_told, node_of, send, wait_for
from wavenet.checkpoint.store import list_committed

TELLING = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
ROOM_BYTES = 64 * 2**20
"""Of the file system that holds the run."""
_LEFT_BYTES = 16 * 2**10  # more than the rows of some steps, less than a checkpoint
_MINUTES = 30


@dataclass(frozen=True)
class Fault:
    """One kind of thing to happen. ``most_lost``: steps, at most; None where more is no promise."""

    name: str
    strike: Callable[[Victim, random.Random], None]
    most_lost: int = 0
    at_start: bool = False
    takes_node: bool = False
    weight: int = 1


def preempted_with_grace(victim: Victim, random: random.Random) -> None:
    _preempted(victim, random)


def preempted_at_once(victim: Victim, random: random.Random) -> None:
    cluster = victim.cluster
    grace = f"GraceTime={cluster.grace_seconds}"
    do(["scontrol", "update", "PartitionName=preemptible", "GraceTime=0"], cluster)
    try:
        victim.wait_until_gone(_preempted(victim, random))
    finally:
        do(["scontrol", "update", "PartitionName=preemptible", grace], cluster)


def _preempted(victim: Victim, random: random.Random) -> int:
    pid = victim.training(_some_steps(random))
    with victim.held(pid):
        node = node_of(pid)
        victim.hit(pid)
        victim.user.shell.submit("urgent", "sleep 1", "--partition=urgent", "--exclusive", f"--nodelist={node}")
    return pid


def time_limit(victim: Victim, random: random.Random) -> None:
    """Slurm looks twice a minute; the warning of 90 + 30 s is due at once where less is left."""
    pid = victim.training(_some_steps(random))
    job = victim.job()
    with victim.held(pid):
        used = victim.user.shell("squeue", "--noheader", f"--jobs={job}", "--format=%M")
        _set_limit(victim, job, int(used.rpartition(":")[0]) + 2)
        wait_for(lambda: is_told(pid, signal.SIGUSR2), "the warning", victim.story)
        victim.hit(pid)
    victim.wait_until_gone(pid)
    _set_limit(victim, job, _MINUTES)


def _set_limit(victim: Victim, job: str, minutes: int) -> None:
    do(["scontrol", "update", f"JobId={job}", f"TimeLimit={minutes}"], victim.cluster)


def requeue(victim: Victim, random: random.Random) -> None:
    pid = victim.training(_some_steps(random))
    with victim.held(pid):
        victim.hit(pid)
        victim.user.shell("scontrol", "requeue", victim.job())


def told_twice(victim: Victim, random: random.Random) -> None:
    """Two of the signals that mean a stop, within a millisecond."""
    pid = victim.training(_some_steps(random))
    victim.hit(pid)
    for number in random.choices(TELLING, k=2):
        send(pid, number)


def told_at_start(victim: Victim, random: random.Random) -> None:
    """Before Python can take it, while it imports, or when it has just claimed the run."""
    _at_start(victim, random, random.choice(TELLING))


def killed(victim: Victim, random: random.Random) -> None:
    pid = victim.training(_some_steps(random))
    victim.hit(pid)
    send(pid, signal.SIGKILL)


def killed_at_start(victim: Victim, random: random.Random) -> None:
    _at_start(victim, random, signal.SIGKILL)


def _at_start(victim: Victim, random: random.Random, number: signal.Signals) -> None:
    before = victim.newest_attempt()
    pid = victim.process()
    if random.random() < 0.6:
        time.sleep(random.uniform(0, 1.5))
    else:
        wait_for(lambda: victim.newest_attempt() > before or started_tick(pid) is None, "its claim", victim.story)
    with victim.held(pid):
        victim.hit(pid)
        send(pid, number)


def killed_in_commit(victim: Victim, random: random.Random) -> None:
    """While its payload lies there under the name of its attempt: half written, or written and not yet listed.

    It runs for a moment and stands still while it is looked at: however seldom somebody gets to look, it is seen in a
    commit before it has come far.
    """
    pid = victim.training(1)
    victim.stop(pid)
    while not any(victim.run.checkpoints.glob("step-*.attempt-*")):
        assert started_tick(pid) is not None, f"no commit was met before the end of {pid}: {victim.story()}"
        send(pid, signal.SIGCONT)
        time.sleep(random.uniform(0.001, 0.003))
        victim.stop(pid)
    victim.hit(pid)
    send(pid, signal.SIGKILL)


def killed_at_shutdown(victim: Victim, random: random.Random) -> None:
    """Told to stop, and killed while it saves, writes its end, or leaves Python."""
    pid = victim.training(_some_steps(random))
    with victim.held(pid):
        victim.hit(pid)
        send(pid, signal.SIGTERM)
    if random.random() < 0.5:
        wait_for(lambda: victim.has_end() or started_tick(pid) is None, "its end", victim.story)
    else:
        time.sleep(random.uniform(0, 0.15))
    send(pid, signal.SIGKILL)


def node_down(victim: Victim, random: random.Random) -> None:
    pid = victim.training(_some_steps(random))
    node = node_of(pid)
    with victim.held(pid):
        victim.hit(pid)
        do(["scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=chaos"], victim.cluster)

    def afterwards() -> None:
        victim.wait_until_gone(pid)
        _start_slurmd_anew(victim.cluster, node)
        wait_for(lambda: _takes_part_again(victim.cluster, node), f"{node} to take part again", victim.story)

    victim.later(afterwards)


def _takes_part_again(cluster: Cluster, node: str) -> bool:
    """A node that an administrator has set down is resumed by one, unless its slurmd, started anew, has done it."""
    ask(["scontrol", "update", f"NodeName={node}", "State=RESUME"], cluster)
    return clusters.states(cluster).get(node) in ("idle", "mix", "alloc")


def power_off(victim: Victim, random: random.Random) -> None:
    pid = victim.training(_some_steps(random))
    node = node_of(pid)
    victim.hit(pid)
    nodes.power_off(victim.cluster, node)

    def afterwards() -> None:
        _wait_for_successor(victim, pid)
        nodes.boot(victim.cluster, node)

    victim.later(afterwards)


def slurmd_killed(victim: Victim, random: random.Random) -> None:
    """The job lives on, unknown to Slurm, which starts it again elsewhere."""
    _left_alone(victim, random, nodes.kill_slurmd, nodes.boot)


def network_cut(victim: Victim, random: random.Random) -> None:
    """The old process lives on, alone on its node, and sees the same files."""
    _left_alone(victim, random, nodes.cut, _heal)


def _heal(cluster: Cluster, node: str) -> None:
    nodes.heal(cluster, node)
    _start_slurmd_anew(cluster, node)


def _start_slurmd_anew(cluster: Cluster, node: str) -> None:
    """Slurm 22.05's old one believes for ever in a job whose end it could not report when cut off or down.

    If that job comes back there, the node is drained and the job held.
    """
    nodes.kill_slurmd(cluster, node)
    nodes.boot(cluster, node)


def _left_alone(
    victim: Victim,
    random: random.Random,
    leave: Callable[[Cluster, str], None],
    mend: Callable[[Cluster, str], None],
) -> None:
    pid = victim.training(_some_steps(random))
    node = node_of(pid)
    send(pid, signal.SIGSTOP)  # it would come to the end of its training before Slurm notices
    victim.hit(pid)
    leave(victim.cluster, node)
    successor = _wait_for_successor(victim, pid)
    if random.random() < 0.5:  # it trains and saves while its successor starts; or wakes when it is overtaken
        time.sleep(random.uniform(0, 2))
    else:
        attempt = victim.blows[-1].attempt or 0

        def claimed_or_gone() -> bool:
            return victim.newest_attempt() > attempt or started_tick(successor) is None

        wait_for(claimed_or_gone, "the claim", victim.story)
    send(pid, signal.SIGCONT)

    def afterwards() -> None:
        victim.wait_until_gone(pid)
        mend(victim.cluster, node)

    victim.later(afterwards)


def _wait_for_successor(victim: Victim, pid: int) -> int:
    return wait_for(lambda: victim._process() not in (None, pid) and victim._process(), "a successor", victim.story)


def damaged(victim: Victim, random: random.Random) -> None:
    """A file of the newest checkpoint is cut short, or one bit of it is another, when the run goes on after a kill."""
    pid = victim.training(2 * INTERVAL + 1)  # two checkpoints at least
    send(pid, signal.SIGSTOP)
    victim.hit(pid)
    send(pid, signal.SIGKILL)
    victim.wait_until_gone(pid)
    newest = list_committed(victim.run)[-1].path
    path = random.choice(sorted(newest.iterdir()))
    content = bytearray(path.read_bytes())
    if random.random() < 0.5:
        path.write_bytes(content[: random.randrange(len(content))])
    else:
        content[random.randrange(len(content))] ^= 1 << random.randrange(8)
        path.write_bytes(content)


def disk_full(victim: Victim, random: random.Random) -> None:
    """In the middle of a commit; the attempt says what is missing, and its user makes room."""
    pid = victim.training(_some_steps(random))
    filler, job, known = victim.run.root.parent / "filler", victim.job(), len(victim.decisions())
    with victim.held(pid):
        room = os.statvfs(filler.parent)
        filler.write_bytes(bytes(max(0, room.f_bavail * room.f_frsize - _LEFT_BYTES)))
        victim.hit(pid)
    wait_for(lambda: len(victim.decisions()) > known, "what the batch script decides", victim.story)
    filler.unlink()
    said = "".join(path.read_text("utf-8") for path in victim.run.jobs.glob(f"*/{job}_*.log"))
    assert re.search(r"the disk is full; .*\(a checkpoint of this run needs [\d,]+ bytes", said), said
    if "not requeued" in victim.decisions()[-1]:
        victim.user.shell.wait_for_state(job, "FAILED", "COMPLETED")
        victim.begin()


def controller_restart(victim: Victim, random: random.Random) -> None:
    """The attempt is told to stop while nobody answers squeue or scontrol; some seconds later somebody does."""
    pid = victim.training(_some_steps(random))
    cluster = victim.cluster
    with victim.held(pid):
        for controller in with_role(cluster, "slurmctld"):
            send(controller.pid, signal.SIGTERM)
        wait_for(lambda: not with_role(cluster, "slurmctld"), "the end of slurmctld", str)
        victim.hit(pid)
        send(pid, signal.SIGTERM)
    time.sleep(random.uniform(0, 8))
    daemons.start_controller(cluster)
    wait_for(lambda: ask(["squeue"], cluster).returncode == 0, "slurmctld", str)


def _some_steps(random: random.Random) -> int:
    return random.randint(1, 2 * INTERVAL)


FAULTS = (
    Fault("SIGKILL in a commit", killed_in_commit, INTERVAL, weight=2),
    Fault("SIGKILL at start-up", killed_at_start, INTERVAL, at_start=True, weight=2),
    Fault("SIGKILL at shutdown", killed_at_shutdown, INTERVAL, weight=2),
    Fault("network cut", network_cut, INTERVAL, takes_node=True),
    Fault("disk full", disk_full, INTERVAL),
    Fault("TERM, USR1 or USR2, twice", told_twice),
    Fault("newest checkpoint damaged", damaged, 2 * INTERVAL),
    Fault("preemption at once", preempted_at_once),
    Fault("slurmctld restart", controller_restart),
    Fault("scontrol requeue", requeue),
    Fault("preemption with grace", preempted_with_grace),
    Fault("time limit", time_limit),
    Fault("TERM, USR1 or USR2 at start-up", told_at_start, at_start=True),
    Fault("SIGKILL", killed, INTERVAL),
    Fault("node down", node_down, takes_node=True),
    Fault("slurmd killed", slurmd_killed, INTERVAL, takes_node=True),
    Fault("power off", power_off, INTERVAL, takes_node=True),
)
