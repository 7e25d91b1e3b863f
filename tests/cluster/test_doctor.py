"""`wavenet doctor` on real clusters: a healthy one has no problem, and what is wrong with another is named."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from slurm.devcluster import nodes
from slurm.devcluster.commands import do
from slurm.devcluster.record import Cluster

from .user import SLURM, User

# One worker brings the cluster up, once.
pytestmark = [pytest.mark.xdist_group("devcluster-d"), pytest.mark.timeout(600)]

# What each visit of the doctor is asked; the nodes are those of a site that has troubles.
VISITS = {
    "poor site": ["cluster.partition=nograce"],
    "folder of one's own": ["root=far"],
    "never starts": ["cluster.sbatch=['begin=now+3600']", "wait_seconds=3"],
    "refused": ["cluster.memory_gb=1000"],
    "no room": ["root=small"],
}


@dataclass(frozen=True)
class Visit:
    """What the doctor said."""

    code: int
    findings: list[dict[str, str]]
    complaint: str

    def bad(self) -> list[dict[str, str]]:
        return [one for one in self.findings if one["level"] == "problem"]

    def of(self, check: str, group: str = "") -> dict[str, str]:
        (found,) = [one for one in self.findings if one["check"] == check and group in one["group"]]
        return found


def visit(user: User, *words: str) -> Visit:
    done = user(user.program.wavenet, "doctor", "--json", *SLURM, *words)
    content: dict[str, Any] = json.loads(done.stdout)
    return Visit(done.returncode, content["findings"], done.stderr)


@pytest.fixture(scope="module")
def user(settle_in: Callable[..., User]) -> User:
    return settle_in("d", num_nodes=2, is_isolated=True)


@pytest.fixture(scope="module")
def healthy(user: User) -> Visit:
    """Before anything is done to the cluster."""
    return visit(user)


@pytest.fixture(scope="module")
def visits(user: User, healthy: Visit, small: Path) -> dict[str, Visit]:
    """To a site that requeues nothing, limits time, and has nodes without scontrol that do not see every folder."""
    cluster = user.shell.cluster
    conf = cluster.slurm_conf
    conf.write_text(conf.read_text("utf-8").replace("JobRequeue=1", "JobRequeue=0"), "utf-8")
    do(["scontrol", "reconfigure"], cluster)
    do(["scontrol", "update", "PartitionName=nograce", "MaxTime=10"], cluster)
    user.shell("mkdir", "far")
    for node in cluster.nodes:
        _inside(cluster, node, "mount", "--bind", "/bin/false", str(shutil.which("scontrol")))
        _inside(cluster, node, "mount", "-t", "tmpfs", "-o", "mode=0777", "none", str(user.shell.home / "far"))
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(VISITS, pool.map(lambda name: visit(user, *VISITS[name]), VISITS), strict=True))


@pytest.fixture(scope="module")
def small(user: User) -> Iterator[Path]:
    """A folder of the user's with half a MiB, all of it used."""
    folder = user.shell.home / "small"
    user.shell("mkdir", "small")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k,mode=0777", "none", str(folder)], check=True)
    (folder / "full").write_bytes(bytes(512 * 1024))
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def _inside(cluster: Cluster, node: str, *command: str) -> None:
    assert nodes.inside(cluster, node, list(command)).returncode == 0


def test_a_healthy_cluster_has_no_problem(healthy: Visit, user: User) -> None:
    """Login and compute node were looked at, and both see the same folders."""
    assert (healthy.code, healthy.bad(), healthy.complaint) == (0, [], "")
    groups = {one["group"] for one in healthy.findings}
    (host,) = {name.rpartition(" ")[2] for name in groups if name.startswith("compute node ")}
    assert host in user.shell.cluster.nodes
    assert {f"runs runs, from {host}", f"data data, from {host}", "Slurm", "partition preemptible"} <= groups
    for check in ("hard link", "hdf5", "fsync", "rename", "lock"):
        assert sum(one["check"] == check and one["level"] == "ok" for one in healthy.findings) == 4
    assert healthy.of("scontrol", "compute node")["level"] == "ok"
    assert healthy.of("sbatch", "compute node")["level"] == "ok"


def test_nothing_is_left_behind(visits: dict[str, Visit], user: User) -> None:
    """Neither a job in the queue nor a file of the user's."""
    assert user.shell("squeue", "--noheader") == ""
    assert list(user.shell.home.rglob(".wavenet-doctor*")) == []


def test_a_site_that_requeues_nothing_by_itself_is_named(visits: dict[str, Visit]) -> None:
    """Jobs of wavenet ask for it."""
    found = visits["poor site"].of("requeue", "Slurm")
    assert (found["level"], found["found"][:12]) == ("warning", "JobRequeue=0")
    assert "#SBATCH --requeue" in found["remedy"]


def test_a_partition_that_gives_less_time_than_the_profile_asks_for_is_named(visits: dict[str, Visit]) -> None:
    """Slurm would take such a job, and never start it."""
    found = visits["poor site"].of("time limit", "partition nograce")
    assert found["level"] == "problem"
    assert "set cluster.time_limit_minutes=10;" in found["remedy"]
    assert visits["poor site"].code == 11
    assert "gives at most 10 minutes" in visits["poor site"].complaint


def test_a_node_without_scontrol_is_named(visits: dict[str, Visit]) -> None:
    """A job goes on there all the same, as another job."""
    found = visits["poor site"].of("scontrol", "compute node")
    assert found["level"] == "warning"
    assert "submits a successor instead" in found["found"]
    assert "administrators" in found["remedy"]


def test_a_folder_that_compute_nodes_do_not_see_is_named(visits: dict[str, Visit]) -> None:
    """The job that was sent there leaves no answer."""
    (found,) = visits["folder of one's own"].bad()
    assert "left nothing in far" in found["found"]
    assert "share" in found["remedy"]


def test_a_job_that_does_not_start_in_time_is_taken_back(visits: dict[str, Visit]) -> None:
    """That is no problem, but nothing is known of the nodes."""
    found = visits["never starts"].of("job")
    assert (visits["never starts"].code, found["level"]) == (0, "warning")
    assert "did not start in 3 seconds" in found["found"]
    assert "(BeginTime)" in found["found"]


def test_a_profile_that_slurm_refuses_is_named(visits: dict[str, Visit]) -> None:
    """In Slurm's own words."""
    (found,) = visits["refused"].bad()
    assert "Slurm does not take a job of this profile" in found["found"]
    assert "Requested node configuration is not available" in found["found"]


def test_a_folder_without_room_is_named(visits: dict[str, Visit]) -> None:
    """By its free space, by what cannot be made there, and as one in memory."""
    bad = {one["check"]: one for one in visits["no room"].bad()}
    assert bad["space"]["found"].startswith("only 0 MiB are free")
    assert "no space left on device" in bad["quota"]["found"]
    assert "no job can be sent to a compute node" in bad["job"]["found"]
    assert all(one["remedy"] for one in bad.values())
    assert visits["no room"].of("kind", "small")["level"] == "warning"
