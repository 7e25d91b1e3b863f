"""What the throwaway cluster does to a job whose place an urgent one needs is what a real one does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from slurm.devcluster.record import Cluster

from .shell import Shell, wait_until

# One worker brings the clusters up, once.
pytestmark = pytest.mark.xdist_group("devcluster")

# Says when it starts, where, and when it is told to stop; ends on the first word if it is `obedient`.
VICTIM = """
exec srun bash -c 'log=$HOME/log.$SLURM_JOB_NAME
echo start $(date +%s.%N) $(hostname) ${SLURM_RESTART_COUNT:-0} >> $log
trap "echo told \\$(date +%s.%N) >> $log; [ $SLURM_JOB_NAME != obedient ] || exit 0" TERM
while :; do echo alive $(date +%s.%N) $(hostname) >> $log; sleep 0.1; done'
"""


class Log:
    """What a victim has written; nothing as long as it has not started."""

    def __init__(self, path: Path) -> None:
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        self.rows = [line.split() for line in lines]

    def of(self, kind: str) -> list[list[str]]:
        return [row[1:] for row in self.rows if row[0] == kind]


@pytest.fixture(scope="module")
def preempted(shell: Shell) -> Iterator[dict[str, str]]:
    """Job ids by name: three victims have lost their nodes to urgent jobs, and two of them run again on others."""
    victims = {"obedient": "nograce", "stubborn": "preemptible", "cancelled": "cancel"}
    jobs = {each: shell.submit(each, VICTIM, f"--partition={victims[each]}", "--exclusive") for each in victims}
    # Told before it listens, a victim would simply die.
    wait_until(lambda: all(Log(shell.home / f"log.{each}").of("alive") for each in victims))
    for job in jobs.values():
        node = shell("squeue", "--noheader", f"--jobs={job}", "--format=%N")
        shell.submit("urgent", "sleep 120", "--partition=urgent", f"--nodelist={node}", "--exclusive")
    wait_until(lambda: all(len(Log(shell.home / f"log.{each}").of("start")) == 2 for each in ("obedient", "stubborn")))
    shell.wait_for_state(jobs["cancelled"], "PREEMPTED", "CANCELLED")
    yield jobs
    shell("scancel", f"--user={shell.cluster.user}")


def test_a_preempted_job_starts_again_on_another_node(preempted: dict[str, str], shell: Shell) -> None:
    """Without grace time: told, gone, and after the hold of a few seconds back under the same id elsewhere."""
    first, second = Log(shell.home / "log.obedient").of("start")
    assert first[1] != second[1]
    assert (first[2], second[2]) == ("0", "1")
    assert float(second[0]) - float(first[0]) < 45
    assert shell.state(preempted["obedient"]) == "RUNNING"


def test_the_grace_time_is_kept(preempted: dict[str, str], shell: Shell, cluster: Cluster) -> None:
    """A job that will not go is told at once, and killed after grace time and KillWait.

    Slurm looks at most every 30 s whether a grace time is over: it may last so much longer, never less.
    """
    log = Log(shell.home / "log.stubborn")
    first, second = log.of("start")
    assert log.of("told"), log.rows
    told = float(log.of("told")[0][0])
    last = max(float(when) for when, host in log.of("alive") if host == first[1])
    assert cluster.grace_seconds < last - told < cluster.grace_seconds + 30 + 8 + 10
    assert second[1] != first[1]


def test_a_cancel_partition_does_not_requeue(preempted: dict[str, str], shell: Shell) -> None:
    """There a preempted job is over."""
    assert len(Log(shell.home / "log.cancelled").of("start")) == 1


def test_accounting_remembers_each_attempt(preempted: dict[str, str], shell: Shell, cluster: Cluster) -> None:
    """sacct tells the preempted attempt of a requeued job from the running one."""
    command = ["sacct", "--duplicates", "--allocations", "--noheader", "--parsable2", "--format=State,NodeList,Account"]
    wait_until(lambda: len(shell(*command, f"--jobs={preempted['obedient']}").splitlines()) == 2)
    first, second = shell(*command, f"--jobs={preempted['obedient']}").splitlines()
    assert re.fullmatch(r"(PREEMPTED|REQUEUED)\|\w+\|research", first)
    assert re.fullmatch(r"RUNNING\|\w+\|research", second)
