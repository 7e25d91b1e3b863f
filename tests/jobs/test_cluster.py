"""Profiles become parameters that submitit takes, and a dry run shows them without submitting."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest
from submitit.slurm.slurm import _make_sbatch_string

from jobs import environment
from jobs.cluster import ClusterConfig, Executor, list_profiles, parameters, read_profile
from jobs.environment import default_cluster, placement
from jobs.keys.structure import freeze, thaw
from jobs.queue.submission import Submission, max_parallel
from wavenet.errors import UsageError
from wavenet.world import World

SITE = ClusterConfig(
    executor=Executor.slurm,
    time_limit_minutes=240,
    partition="preempt",
    account="lab",
    qos="low",
    constraint="avx512",
    exclude="n[1-2]",
    reservation="course",
    gres="gpu:a100:1",
    memory_gb=1.5,
    mail_type="FAIL",
    mail_user="me@site",
    setup=("module load x",),
    sbatch=("licenses=matlab:1", "exclusive"),
)


def test_every_wish_of_a_profile_reaches_sbatch() -> None:
    """Each field is an option of the batch script, and the job asks to be requeued."""
    script = _make_sbatch_string(command="x", folder="/tmp", **parameters(SITE, "name", num_tasks=2, threads=3))
    for option in (
        "job-name=name",
        "ntasks-per-node=2",
        "cpus-per-task=3",
        "time=240",
        "partition=preempt",
        "account=lab",
        "qos=low",
        "constraint=avx512",
        "exclude='n[1-2]'",
        "reservation=course",
        "gres=gpu:a100:1",
        "mem=1536M",
        "mail-type=FAIL",
        "mail-user=me@site",
        "licenses=matlab:1",
        "exclusive",
        "requeue",
    ):
        assert f"#SBATCH --{option}\n" in script
    assert "\nmodule load x\n" in script


def test_what_a_profile_leaves_open_is_left_to_the_site() -> None:
    """No empty option."""
    asked = parameters(ClusterConfig(executor=Executor.slurm, time_limit_minutes=4), "name")
    assert {"partition", "account", "mem", "gres", "gpus_per_node", "setup"}.isdisjoint(asked)


def test_slurm_needs_a_time_limit() -> None:
    """submitit would silently take five minutes."""
    with pytest.raises(UsageError, match=r"cluster\.time_limit_minutes must be at least 1, got 0"):
        ClusterConfig(executor=Executor.slurm)


def test_a_time_limit_that_leaves_no_time_before_its_warning_is_refused() -> None:
    """The warning would come while the job starts, and the job would do nothing but start."""
    with pytest.raises(UsageError, match=r"cluster\.time_limit_minutes must be more than 3\.0, got 3: .*=90"):
        ClusterConfig(executor=Executor.slurm, time_limit_minutes=3)
    ClusterConfig(executor=Executor.slurm, time_limit_minutes=3, warning_seconds=60)


@pytest.mark.parametrize("option", ["exclusive=", "--exclusive", "", "=1", "comment=two\nlines"])
def test_an_option_that_sbatch_cannot_have_is_refused(option: str) -> None:
    """An empty value would reach sbatch as two quotes, and a line break would end the comment line that it is in."""
    with pytest.raises(UsageError, match=r"cluster\.sbatch must hold sbatch's options as name=value, or name"):
        ClusterConfig(executor=Executor.slurm, time_limit_minutes=4, sbatch=(option,))


def test_a_local_job_has_no_hidden_limit() -> None:
    """submitit's own would end training after two minutes."""
    assert parameters(ClusterConfig(), "name")["timeout_min"] > 100_000


@pytest.mark.parametrize("name", list_profiles())
def test_a_profile_sets_only_fields_that_exist(name: str) -> None:
    """And holds their types: it freezes into a configuration."""
    profile = read_profile(name)
    assert profile.keys() <= {field.name for field in fields(ClusterConfig)}
    assert freeze(ClusterConfig, {**thaw(ClusterConfig()), **profile}).executor.name == profile["executor"]


def test_an_array_is_no_wider_than_its_tasks() -> None:
    """Three tasks on a profile that allows eight run three at once."""
    cluster = ClusterConfig(max_parallel=8)
    assert Submission.of(cluster, "x", num_jobs=3).parallel == 3
    assert max_parallel(ClusterConfig()) >= 1


def test_ranks_are_read_from_whoever_started_the_process() -> None:
    """submitit's local executor, Slurm, or nobody."""
    local = {"SUBMITIT_EXECUTOR": "local", "SUBMITIT_LOCAL_GLOBALID": "1", "SUBMITIT_LOCAL_NTASKS": "2"}
    assert placement(local).world == World(1, 2)
    slurm = {"SUBMITIT_EXECUTOR": "slurm", "SLURM_PROCID": "3", "SLURM_NTASKS": "4"}
    place = placement({**slurm, "SLURM_JOB_ID": "17", "SLURM_RESTART_COUNT": "2"})
    assert (place.world, place.job_id, place.restart_count) == (World(3, 4), "17", 2)
    assert placement({}).world == World()


def test_ranks_on_several_nodes_meet_where_srun_was_heard_from(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a node they need no network; an address that is not this host's gives way to its name."""
    there = {"SUBMITIT_EXECUTOR": "slurm", "SLURM_LAUNCH_NODE_IPADDR": "203.0.113.7"}
    assert placement(there).address == "127.0.0.1"
    assert placement({**there, "SLURM_JOB_NUM_NODES": "2"}).address == socket.gethostname()
    monkeypatch.setattr(environment, "is_own_address", lambda address: address == "203.0.113.7")
    assert placement({**there, "SLURM_JOB_NUM_NODES": "2"}).address == "203.0.113.7"


def test_processes_are_spread_evenly_over_nodes() -> None:
    """Three do not fit on two nodes; four are two on each."""
    cluster = ClusterConfig(executor=Executor.slurm, time_limit_minutes=4, nodes=2)
    asked = parameters(cluster, "name", num_tasks=4, nodes=2)
    assert (asked["nodes"], asked["ntasks_per_node"]) == (2, 2)
    with pytest.raises(UsageError, match=r"cluster\.nodes must be 1 with cluster\.executor=local, got 2"):
        ClusterConfig(nodes=2)
    with pytest.raises(UsageError, match=r"training\.processes must be a multiple of cluster\.nodes = 2.*; got 3"):
        parameters(cluster, "name", num_tasks=3, nodes=2)


def test_slurm_without_a_cluster_is_not_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its commands alone submit nothing; a configuration beside them makes it the default."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("SLURM_CONF", str(tmp_path / "slurm.conf"))
    assert default_cluster() == "local"
    (tmp_path / "sbatch").touch(0o755)
    assert default_cluster() == "slurm"


def test_a_dry_run_submits_nothing(
    wavenet: Callable[..., subprocess.CompletedProcess[str]], data: Path, tmp_path: Path
) -> None:
    """It prints job and parameters, and leaves no file."""
    words = ["train", "run=x", f"data={data}", "cluster=slurm", "cluster.partition=preempt", "dry_run=true"]
    done = wavenet(*words)
    assert done.returncode == 0, done.stderr
    assert "dry run: nothing is submitted\nwavenet-train-x: 1 job on cluster=slurm\n" in done.stdout
    assert "    partition = preempt\n" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_slurm_that_is_not_there_is_one_sentence(
    wavenet: Callable[..., subprocess.CompletedProcess[str]],
    environment: dict[str, str],
    data: Path,
    tmp_path: Path,
) -> None:
    """And no run is begun."""
    environment["PATH"] = str(tmp_path)
    done = wavenet("train", "run=x", f"data={data}", "cluster=slurm")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "needs Slurm's sbatch, which is not on this machine's PATH; use cluster=local" in done.stderr
    assert list(tmp_path.iterdir()) == []
