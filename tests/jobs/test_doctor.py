"""`wavenet doctor` names what will not work here, each with its remedy, and finds nothing wrong where all is well."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from jobs.checks import machine, partition, settings, storage
from jobs.checks.finding import Finding, Group, Level
from jobs.cluster import ClusterConfig, Executor
from jobs.container import ContainerConfig
from jobs.queue.slurm_times import seconds_of
from jobs.runtimes import Runtime
from jobs.verbs.doctor import in_words

Run = Callable[..., "subprocess.CompletedProcess[str]"]
GROUP = Group("here")
# As a Slurm 22.05 tells them.
SITE = {
    "SLURM_VERSION": "22.05.8",
    "ClusterName": "c",
    "PreemptType": "preempt/partition_prio",
    "PreemptMode": "REQUEUE",
    "JobRequeue": "1",
    "AuthInfo": "(null)",
    "KillWait": "30 sec",
    "KillOnBadExit": "0",
    "RequeueExitHold": "(null)",
    "MaxArraySize": "1001",
    "AccountingStorageType": "accounting_storage/none",
    "ProctrackType": "proctrack/cgroup",
}
PARTITION = {
    "PartitionName": "free",
    "State": "UP",
    "Default": "YES",
    "MaxTime": "1-00:00:00",
    "PreemptMode": "REQUEUE",
    "GraceTime": "60",
    "AllowAccounts": "ALL",
    "AllowQos": "ALL",
    "AllowGroups": "ALL",
    "TotalNodes": "3",
}


def profile(**fields: object) -> ClusterConfig:
    return ClusterConfig(executor=Executor.slurm, **{"time_limit_minutes": 240, **fields})


def not_ok(findings: Iterable[Finding]) -> list[Finding]:
    found = [one for one in findings if one.level is not Level.ok]
    assert all(one.remedy for one in found)
    return found


def test_where_all_is_well_nothing_is_complained_of() -> None:
    """Neither of the cluster's settings nor of the partition."""
    assert not_ok(settings.examine(SITE, {}, 36, GROUP)) == []
    assert not_ok(partition.examine(profile(), {"free": PARTITION}, SITE)) == []


@pytest.mark.parametrize(
    ("setting", "value", "level", "words", "remedy"),
    [
        ("JobRequeue", "0", Level.warning, "jobs of wavenet ask for it", "#SBATCH --requeue"),
        ("KillWait", "2 sec", Level.warning, "KillWait=2", "training.checkpoint_seconds="),
        ("RequeueExitHold", "9,75", Level.problem, "exit code [75]", "scontrol release"),
        ("MaxArraySize", "0", Level.problem, "arrays are not allowed", "cluster=local"),
        ("ProctrackType", "proctrack/linuxproc", Level.warning, "may outlive its job", "ps"),
    ],
)
def test_a_setting_that_matters_is_named_with_its_remedy(
    setting: str, value: str, level: Level, words: str, remedy: str
) -> None:
    """Alone among all settings."""
    (found,) = not_ok(settings.examine({**SITE, setting: value}, {}, 36, GROUP))
    assert found.level is level
    assert words in found.found
    assert remedy in found.remedy


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("AuthInfo", "cred_expire=7", "waits some 7 seconds"),
        ("AuthInfo", "(null)", "waits some 120 seconds"),
        ("MaxBatchRequeue", "9", "9 times is held"),
        ("MaxArraySize", "21", "parts of at most 21 tasks"),
        ("PreemptType", "preempt/none", "jobs are not preempted"),
        ("AccountingStorageType", "accounting_storage/slurmdbd", "accounting is on (slurmdbd)"),
    ],
)
def test_what_the_site_does_is_told(setting: str, value: str, words: str) -> None:
    """Also where nothing is wrong with it."""
    findings = settings.examine({**SITE, setting: value}, {}, 36, GROUP)
    assert sum(words in one.found for one in findings) == 1
    assert not_ok(findings) == []


@pytest.mark.parametrize(("most", "level"), [(3, Level.problem), (20, Level.warning), (36, None)])
def test_a_limit_of_submission_is_held_against_what_a_chain_needs(most: int, level: Level | None) -> None:
    """Which is six jobs at least, and as many more as its arrays have workers."""
    found = not_ok(settings.examine(SITE, {"MaxSubmitJobs": most}, 36, GROUP))
    assert [one.level for one in found] == ([level] if level else [])


@pytest.mark.parametrize(
    ("fields", "facts", "level", "words", "remedy"),
    [
        ({}, {"MaxTime": "03:00:00"}, Level.problem, "at most 180 minutes", "cluster.time_limit_minutes=180"),
        ({}, {"State": "DRAIN"}, Level.problem, "no job may be submitted", "another cluster.partition"),
        ({}, {"PreemptMode": "CANCEL"}, Level.warning, "cancelled after 60 s of grace", "compute nodes"),
        ({}, {"PreemptMode": "CANCEL", "GraceTime": "0"}, Level.warning, "cancelled at once", "compute nodes"),
        ({}, {"PreemptMode": "SUSPEND"}, Level.warning, "go on later on the same node", "wavenet status"),
        ({}, {"AllowAccounts": "a,b"}, Level.problem, "the profile names no account", "cluster.account"),
        ({"qos": "c"}, {"AllowQos": "a,b"}, Level.problem, "the profile names c", "cluster.qos"),
        (
            {"partition": "fre"},
            {},
            Level.problem,
            "no partition 'fre' that you may use; did you mean 'free'?",
            "cluster",
        ),
        ({}, {"Default": "NO"}, Level.problem, "no default one", "cluster.partition to one of: free"),
    ],
)
def test_a_partition_that_does_not_fit_is_named_with_its_remedy(
    fields: dict[str, object], facts: dict[str, str], level: Level, words: str, remedy: str
) -> None:
    """Before a job waits there for ever."""
    (found,) = not_ok(partition.examine(profile(**fields), {"free": {**PARTITION, **facts}}, SITE))
    assert found.level is level
    assert words in found.found
    assert remedy in found.remedy


@pytest.mark.parametrize("accounts", ["mine", "other,mine"])
def test_an_account_that_is_allowed_will_do(accounts: str) -> None:
    """Alone or among others."""
    facts = {**PARTITION, "AllowAccounts": accounts}
    assert not_ok(partition.examine(profile(account="mine"), {"free": facts}, SITE)) == []


@pytest.mark.parametrize(
    ("text", "number"),
    [("UNLIMITED", None), ("00:10:00", 600), ("10:30:07", 37807), ("7-00:00:00", 604800), ("", None)],
)
def test_slurms_durations_are_read(text: str, number: int | None) -> None:
    """In seconds; words are no limit."""
    assert seconds_of(text) == number


def test_a_folder_of_this_machine_will_do_and_stays_as_it_was(tmp_path: Path) -> None:
    """Every probe works on a disk; nothing of it is left behind, and no folder is made."""
    wanted = tmp_path / "it's \n new" / "runs"
    findings = storage.examine(wanted, GROUP)
    assert {one.check for one in findings} >= {
        "write",
        "hard link",
        "rename",
        "fsync",
        "lock",
        "hdf5",
        "quota",
        "umask",
    }
    assert [one for one in findings if one.level is Level.problem] == []
    assert list(tmp_path.iterdir()) == []


def test_a_quota_that_leaves_too_little_is_a_problem(disk_of_quota: Path) -> None:
    """Though the file system has more free than is tried."""
    (found,) = [one for one in storage.examine(disk_of_quota, GROUP) if one.check == "quota"]
    assert found.level is Level.problem
    assert "disk quota exceeded" in found.found
    assert list(disk_of_quota.iterdir()) == []


def test_a_folder_below_a_file_is_a_problem(tmp_path: Path) -> None:
    """It could never be made."""
    (tmp_path / "file").touch()
    (found,) = storage.examine(tmp_path / "file" / "runs", GROUP)
    assert found.level is Level.problem
    assert "is a file" in found.found


@pytest.mark.parametrize(("mask", "level"), [(0o022, None), (0o077, None), (0o277, Level.problem)])
def test_the_umask_is_told(tmp_path: Path, mask: int, level: Level | None) -> None:
    """One that takes from its owner the right to write is a problem."""
    before = os.umask(mask)
    try:
        (found,) = [one for one in storage.examine(tmp_path, GROUP) if one.check == "umask"]
    finally:
        os.umask(before)
    assert f"{mask:03o}" in found.found
    assert found.level is (level or Level.ok)


def test_a_group_that_cannot_go_on_with_a_shared_run_is_warned_of(tmp_path: Path) -> None:
    """The folder says that it is shared, the umask that its files are not."""
    tmp_path.chmod(0o2775)
    before = os.umask(0o022)
    try:
        (found,) = [one for one in storage.examine(tmp_path, GROUP) if one.check == "umask"]
    finally:
        os.umask(before)
    assert found.level is Level.warning
    assert "umask 002" in found.remedy


def test_a_gpu_that_is_not_there_is_a_problem() -> None:
    """A thousand are nowhere."""
    findings, numerics = machine.examine(GROUP, machine.Wants(gpus=1000))
    assert [one.check for one in findings if one.level is Level.problem] == ["gpu"]
    assert numerics.instructions


@pytest.mark.parametrize(("image", "words"), [("nowhere.sif", "which is not there"), ("image.sif", "by singularity")])
def test_a_container_that_cannot_be_started_is_a_problem(tmp_path: Path, image: str, words: str) -> None:
    """Neither without the image nor without what starts it."""
    (tmp_path / "image.sif").touch()
    wants = machine.Wants(container=ContainerConfig(image=str(tmp_path / image), runtime=Runtime.singularity))
    (found,) = [one for one in machine.examine(GROUP, wants)[0] if one.check == "containers"]
    assert found.level is Level.problem
    assert words in found.found
    assert "cluster.container.image" in found.remedy


def test_a_login_node_needs_no_torch_where_jobs_have_an_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a problem where they have none."""
    monkeypatch.setitem(sys.modules, "torch", None)
    (tmp_path / "image.sif").touch()

    def levels(image: str) -> dict[str, Level]:
        wants = machine.Wants(container=ContainerConfig(image=image))
        return {one.check: one.level for one in machine.examine(GROUP, wants)[0]}

    assert levels(str(tmp_path / "image.sif"))["torch"] is Level.ok
    assert levels("")["torch"] is Level.problem


def test_this_machine_is_told_group_by_group(tmp_path: Path, wavenet: Run) -> None:
    """And the last line says that all of it will work."""
    done = wavenet("doctor", "cluster=local")
    assert done.returncode == 0, done.stdout
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == ["this", "runs", "data", "all"]
    assert lines[-1].startswith("all of it will work")
    assert list(tmp_path.iterdir()) == []


def test_what_will_not_work_is_the_exit_code(tmp_path: Path, wavenet: Run) -> None:
    """JSON has all findings; the sentence on the other stream has the first problem."""
    (tmp_path / "runs").touch()
    done = wavenet("doctor", "cluster=local", "--json")
    content = json.loads(done.stdout)
    assert done.returncode == 11
    assert done.stderr.startswith("wavenet: 1 problem found, the first in runs runs: runs cannot be made")
    (problem,) = [one for one in content["findings"] if one["level"] == "problem"]
    assert problem.keys() == {"group", "check", "level", "found", "remedy"}
    assert (content["num_problems"], problem["check"]) == (1, "write")


def test_a_profile_for_slurm_where_there_is_none_is_a_problem(
    wavenet: Run, environment: dict[str, str], tmp_path: Path
) -> None:
    """The remedy is in the words below it."""
    environment["PATH"] = str(tmp_path)
    done = wavenet("doctor", "cluster=slurm")
    assert done.returncode == 11
    assert "  problem  sbatch is not on this machine's PATH\n           -> log in to a machine of" in done.stdout


def test_a_finding_reads_as_a_line_and_its_remedy() -> None:
    """Under its group, which is named once."""
    found = [GROUP.ok("a", "fine"), GROUP.problem("b", "bad", "mend it"), Group("there").warning("c", "so so", "wait")]
    assert list(in_words(found)) == [
        "here",
        "  ok       fine",
        "  problem  bad",
        "           -> mend it",
        "there",
        "  warning  so so",
        "           -> wait",
    ]
