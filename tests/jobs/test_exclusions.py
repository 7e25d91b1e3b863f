"""Hosts with two faults and no new checkpoint between them are stayed away from, and named where their user looks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.progress.standing import look_at
from jobs.progress.status_words import in_words
from tests.jobs.batch_script import RUNNING, Script
from wavenet.run_paths import RunPaths


def test_hosts_stayed_away_from_are_told(tmp_path: Path) -> None:
    """Those of the newest submission of the training."""
    run = RunPaths(tmp_path / "shy")
    assert look_at(run).excluded == []
    for stamp, hosts in (("20260101T000000Z", "n1\n"), ("20260102T000000Z", "n2\nn3\n")):
        folder = run.jobs / f"train-{stamp}"
        folder.mkdir(parents=True)
        (folder / "7.excluded").write_text(hosts, "utf-8")
    state = look_at(run)
    assert state.excluded == ["n2", "n3"]
    assert "stays away from n2, n3, after two faults each" in "\n".join(in_words(state))


def test_a_host_with_two_faults_is_stayed_away_from(script: Script, asked: Callable[[], list[str]]) -> None:
    """Beside those of the profile, in every later start; one fault says nothing, nor do two with progress between."""
    made = script.jobs.parent / "checkpoints"
    for node, program in (("n1", "exit 1"), ("n2", "exit 1"), ("n1", f'mkdir -p "{made}/step-00000009"; exit 1')):
        script.run(program, most_idle=9, SLURMD_NODENAME=node)
        assert "ExcNodeList" not in asked()[0]
    script.run("exit 137", most_idle=9, SLURMD_NODENAME="n1")
    assert asked() == ["update JobId=7 StartTime=now+60 ExcNodeList=old1,n1"]
    script.run("exit 75", most_idle=9, SLURMD_NODENAME="n2")
    assert asked() == ["update JobId=7 ExcNodeList=old1,n1"]
    assert "the host n1 is stayed away from, after two faults without a new checkpoint" in script.decisions()


@pytest.mark.parametrize("bond", ["nodelist", "features"])
def test_a_host_that_the_job_cannot_do_without_is_used_again(
    script: Script, asked: Callable[[], list[str]], bond: str
) -> None:
    """Without it Slurm would let the job wait for ever; said once, with the first two faults."""
    if bond == "nodelist":
        script.options.append("#SBATCH --nodelist='n[1-2]'")
        script.say("scontrol", 'if [ "$2" = hostnames ]; then printf "n1\\nn2\\n"; else echo "$@" >> "$0.asked"; fi')
    else:
        words = "allocation failure: Requested node configuration is not available"
        script.say("sbatch", f'if [ "$1 $2" = "--test-only --exclude=old1,n1" ]; then echo "{words}" >&2; exit 1; fi')
    for _ in range(3):
        script.run("exit 1", most_idle=9, SLURMD_NODENAME="n1")
        assert asked() == ["update JobId=7 StartTime=now+60"]
    said = [line for line in script.decisions() if "n1" in line]
    assert said == ["the host n1 had two faults without a new checkpoint and is used again: the job may use no other"]


def test_a_full_disk_is_no_fault_of_the_host(script: Script, asked: Callable[[], list[str]]) -> None:
    """Another would meet it as well."""
    for _ in range(3):
        script.run("exit 6", most_idle=9, SLURMD_NODENAME="n1")
        assert "ExcNodeList" not in asked()[0]


@pytest.mark.parametrize(("num_nodes", "num_hosts"), [(6, 2), (3, 1), (2, 1), (1, 0)])
def test_hosts_stayed_away_from_are_few(
    script: Script, asked: Callable[[], list[str]], num_nodes: int, num_hosts: int
) -> None:
    """At most as many as the profile says, and half of the partition."""
    script.say("sinfo", f"seq -f n%g 1 {num_nodes}")
    for node in ("n1", "n1", "n2", "n2", "n3", "n3"):
        script.run("exit 1", most_idle=9, SLURMD_NODENAME=node)
        last = asked()[0]
    assert last.partition("ExcNodeList=old1")[2] == "".join(f",n{number + 1}" for number in range(num_hosts))


def test_a_successor_begins_later_and_elsewhere_as_well(script: Script) -> None:
    """Where the job itself may not be put back."""
    script.say("squeue", f"echo {RUNNING}")
    script.say("sinfo", "seq -f n%g 1 6")
    script.say("scontrol", "exit 1")
    script.say("sbatch", 'echo "$@" > "$0.asked"; echo 8')
    for _ in range(2):
        script.run("exit 137", most_idle=9, SLURMD_NODENAME="n1")
    said = (script.commands / "sbatch.asked").read_text("utf-8")
    assert "--begin=now+60" in said
    assert "--exclude=old1,n1" in said


def test_a_lost_start_is_a_fault_of_its_host(script: Script, asked: Callable[[], list[str]]) -> None:
    """Slurm puts such a job back by itself; started on that host again, it goes elsewhere before anything is done."""
    here = script.folder / "7.here"
    for restart in ("0", "1"):
        here.write_text(f"7 {restart} n1 \n", "utf-8")
        script.run(f'touch "{script.folder}/7.done"', most_idle=9, SLURMD_NODENAME="n2")
        (script.folder / "7.done").unlink()
    assert not here.exists()
    asked()
    assert script.run(f'touch "{script.jobs}/started"', most_idle=9, SLURMD_NODENAME="n1") == 75
    assert asked() == ["update JobId=7 ExcNodeList=old1,n1"]
    assert not (script.jobs / "started").exists()
    assert script.decisions()[-1] == "started on the host n1, which is to be stayed away from: requeued"


def test_of_several_nodes_the_one_that_the_program_names_is_at_fault(
    script: Script, asked: Callable[[], list[str]]
) -> None:
    """Where it names none, or a host that is none of them, nobody is."""
    script.say("scontrol", 'if [ "$2" = hostnames ]; then printf "n1\\nn2\\n"; else echo "$@" >> "$0.asked"; fi')
    history = script.jobs.parent / "history"
    history.mkdir()
    for named in ("", ', "host": "n9"', ', "host": "n2.cluster"', ', "host": "n2"'):
        row = f'{{"kind": "end", "cause": "hang"{named}}}'
        (history / "attempt-0001.jsonl").write_text(f"{row}\n", "utf-8")
        assert "ExcNodeList" not in "".join(asked())
        script.run("exit 1", most_idle=9, SLURM_JOB_NUM_NODES="2", SLURM_JOB_NODELIST="n[1-2]", SLURMD_NODENAME="n1")
    assert asked() == ["update JobId=7 StartTime=now+60 ExcNodeList=old1,n2"]
