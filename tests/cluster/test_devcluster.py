"""The throwaway cluster is a real one, and leaves nothing behind."""

from __future__ import annotations

import pwd
import re
import shlex
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from slurm.devcluster import cluster as clusters
from slurm.devcluster import nodes, registry
from slurm.devcluster.commands import ask
from slurm.devcluster.processes import environment_of
from slurm.devcluster.record import Cluster

from .conftest import free_name, traces
from .shell import Shell, wait_until

# One worker brings the clusters up, once.
pytestmark = pytest.mark.xdist_group("devcluster")

DEVCLUSTER = Path(__file__).parents[2] / "slurm" / "devcluster"


def test_an_ordinary_user_runs_on_every_node(cluster: Cluster, shell: Shell) -> None:
    """srun starts a task on each node; each is a machine of its own name, and the user is nobody special."""
    assert shell("id", "--user") != "0"
    said = shell("srun", "--nodes=5", "bash", "-c", "echo $(hostname) $SLURMD_NODENAME $(id --user)")
    uid = pwd.getpwnam(cluster.user).pw_uid
    assert sorted(said.splitlines()) == [f"{node} {node} {uid}" for node in cluster.nodes]


def test_a_node_can_be_cut_off_and_healed(cluster: Cluster) -> None:
    """A node without its cable is out of reach, and runs on."""
    node = cluster.nodes[-1]
    where = (cluster.address_of(node), cluster.node_ports[0])
    socket.create_connection(where, timeout=5).close()
    nodes.cut(cluster, node)
    with pytest.raises(OSError, match=r"timed out|No route|unreachable"):
        socket.create_connection(where, timeout=0.5)
    assert nodes.slurmd_of(cluster, node)
    nodes.heal(cluster, node)
    socket.create_connection(where, timeout=5).close()


def test_nodes_die_and_come_back(cluster: Cluster, shell: Shell) -> None:
    """A killed slurmd leaves its node, a power failure nothing; both start again and take work."""
    killed, dead = cluster.nodes[:2]
    clusters.wait_until_idle(cluster)
    nodes.kill_slurmd(cluster, killed)
    assert nodes.inside(cluster, killed, ["true"]).returncode == 0
    nodes.power_off(cluster, dead)
    with pytest.raises(Exception, match=f"{dead} is not running"):
        nodes.inside(cluster, dead, ["true"])
    for node in (killed, dead):
        nodes.boot(cluster, node)
    said = shell("srun", "--nodes=2", f"--nodelist={killed},{dead}", "hostname")
    assert sorted(said.splitlines()) == [killed, dead]


def test_nothing_is_open_to_everybody(cluster: Cluster) -> None:
    """The key is munge's alone, and nobody else may write into the cluster's folder."""
    assert stat.S_IMODE((cluster.munge / "key").stat().st_mode) == 0o400
    assert (cluster.munge / "key").owner() == "munge"
    writable = [
        path
        for path in [cluster.folder, *cluster.folder.rglob("*")]
        if path.lstat().st_mode & stat.S_IWOTH and not path.is_symlink() and not path.is_socket()
    ]
    assert writable == []


def test_two_clusters_stand_side_by_side(cluster: Cluster, shell: Shell, bring_up: Callable[..., Cluster]) -> None:
    """Each has its own nodes and key; taken down with a job on it that ignores signals, one leaves no trace."""
    second = bring_up("b", user=cluster.user, num_nodes=3, settings=("MaxArraySize=21", "jobrequeue=0"))
    assert traces(second.name)
    other = Shell(second)
    said = other("srun", "--nodes=3", "bash", "-c", "echo $SLURMD_NODENAME")
    assert sorted(said.splitlines()) == list(second.nodes)
    assert re.search(r"^MaxArraySize *= 21$", other("scontrol", "show", "config"), re.MULTILINE)
    assert re.search(r"^JobRequeue *= 0$", other("scontrol", "show", "config"), re.MULTILINE)
    credential = other("munge", "--no-input", f"--socket={second.munge_socket}")
    (cluster.folder / "credential").write_text(credential, encoding="ascii")
    foreign = ["unmunge", f"--socket={cluster.munge_socket}", f"--input={cluster.folder}/credential"]
    assert "Invalid credential" in ask(foreign).stderr
    job = other.submit("deaf", 'trap "" TERM INT HUP; (setsid sleep 600 &); while :; do sleep 1; done')
    other.wait_for_state(job, "RUNNING")
    clusters.down(second)
    assert traces(second.name) == {}
    assert shell("squeue", "--noheader") == ""  # the other one answers, and the user who was there already stays


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(DEVCLUSTER), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.usefixtures("possible")
def test_the_readmes_first_cluster_does_what_it_says() -> None:
    """The commands of slurm/README.md succeed one after the other, and the preempted job moves to another node."""
    name = free_name("f")
    text = (DEVCLUSTER.parent / "README.md").read_text(encoding="utf-8").partition("## A Slurm of your own")[2]
    lines = [shlex.split(line.replace("dev1", f"{name}1")) for line in text.split("```")[1].splitlines() if line]
    assert all(line[:2] == ["python3", "slurm/devcluster"] for line in lines)
    for _, _, verb, *words in lines:
        if "--partition=urgent" in words:
            wait_until(lambda: _second_job(name) == ("RUNNING", "0", f"{name}1"))
        if verb == "down":
            wait_until(lambda: _second_job(name) == ("RUNNING", "1", f"{name}2"))
        done = _run(verb, f"--name={name}", *words)
        assert done.returncode == 0, done.stderr
    assert traces(name) == {}


def _second_job(name: str) -> tuple[str, str, str]:
    """State, restarts and node of the job that the README submits after its srun."""
    said = _run("as-user", f"--name={name}", "scontrol", "--oneliner", "show", "job", "2").stdout
    facts = dict(word.split("=", 1) for word in said.split() if "=" in word)
    return facts["JobState"], facts["Restarts"], facts["NodeList"]


@pytest.mark.usefixtures("possible")
@pytest.mark.parametrize("role", ["munged", "slurmctld", "node-{}2"])
def test_down_removes_what_a_killed_up_has_left(role: str) -> None:
    """Killed at any moment, `up` leaves what `down` finds."""
    name = free_name("c")
    reached = registry.folder_of(name) / "output" / role.format(name)
    with subprocess.Popen([sys.executable, str(DEVCLUSTER), "up", f"--name={name}", "--isolated"]) as up:
        wait_until(reached.exists)
        up.send_signal(signal.SIGKILL)
    assert traces(name)
    again = _run("up", f"--name={name}")
    assert again.returncode == 1
    assert "is already there: `down` removes it" in again.stderr
    assert _run("down", f"--name={name}").returncode == 0
    assert traces(name) == {}


@pytest.mark.usefixtures("possible")
def test_what_does_not_come_up_says_why_and_goes() -> None:
    """A wrong setting is answered with Slurm's own reason, at once, and nothing is left."""
    name = free_name("d")
    done = _run("up", f"--name={name}", "--set", "SelectType=select/nonsense")
    assert done.returncode == 1
    assert "Can't find plugin for select/nonsense" in done.stderr
    assert traces(name) == {}


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("up", "--name=Dev1"), "1 to 8 letters a-z, not 'Dev1'"),
        (("up", "--nodes=0"), "1 to 80 nodes, not 0"),
        (("up", "--folder=/tmp/a b"), "without blanks or signs, not '/tmp/a b'"),
        (("up", "--set", "MaxArraySize"), "Key=Value, a line of slurm.conf, not 'MaxArraySize'"),
        (("down", "--name=nobody"), "there is no cluster 'nobody'"),
    ],
)
@pytest.mark.usefixtures("possible")
def test_wrong_words_are_refused_in_one_sentence(words: tuple[str, ...], reason: str) -> None:
    """What was wrong, what was found and what would be right; never a traceback."""
    done = _run(*words)
    assert done.returncode == 1
    assert reason in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_an_ordinary_user_is_told_that_it_takes_root() -> None:
    """Without root, `up` refuses before it has made anything."""
    program = "import os, sys; from slurm.devcluster.cli import main; os.geteuid() or os.setuid(65534); main(['up'])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert "it takes root" in done.stderr


def test_a_daemon_that_is_just_being_put_in_place_is_not_taken_for_an_ended_one(tmp_path: Path) -> None:
    # What proc(5) shows between execve()'s new address space and its stack: no environment, `env_end` 0.
    (tmp_path / "environ").write_bytes(b"")
    (tmp_path / "stat").write_text("7 (a b) S 1 7 7 0 0 0")

    def put_the_program_in_place() -> None:
        (tmp_path / "environ").write_bytes(b"MARK=here\0")
        (tmp_path / "stat").write_text("7 (a b) S 1 7 7 0 99 0")

    later = threading.Timer(0.05, put_the_program_in_place)
    later.start()
    assert environment_of(tmp_path, seconds=60) == b"MARK=here\0"
    later.join()


def test_a_program_without_an_environment_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "environ").write_bytes(b"")
    (tmp_path / "stat").write_text("7 (sh) S 1 7 7 0 99 0")
    assert environment_of(tmp_path, seconds=3600) == b""
