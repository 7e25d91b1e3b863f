"""Real clusters for the tests, with names of their own, and what a machine looks like without them."""

from __future__ import annotations

import contextlib
import os
import pwd
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from slurm.devcluster import cluster as clusters
from slurm.devcluster import packages, registry
from slurm.devcluster.record import Cluster
from wavenet.run_paths import RunPaths

from .pairs import NUM_CHECKPOINTS, NUM_GENRES
from .program import Program, readable
from .shell import PATIENCE, Shell, wait_until
from .user import CLIPS, MUSIC, TINY, Story, User


def free_name(letter: str) -> str:
    """A name that no other test process and no person uses; 26 letters write the process id in four."""
    number, letters = os.getpid(), ""
    while number:
        number, rest = divmod(number, 26)
        letters += chr(ord("a") + rest)
    return f"t{letter}{letters}"


@pytest.fixture(scope="session")
def possible() -> None:
    """Skips where no cluster can be brought up."""
    if reason := packages.obstacle():
        pytest.skip(f"no Slurm cluster can be brought up here: {reason}")


@pytest.fixture(scope="session")
def bring_up(possible: None) -> Iterator[Callable[..., Cluster]]:
    """Brings clusters up; those still there at the end are taken down."""
    made: list[Cluster] = []

    def bring(letter: str, **options: object) -> Cluster:
        made.append(clusters.up(free_name(letter), **options))
        return made[-1]

    yield bring
    for cluster in made:
        if cluster in registry.registered():
            clusters.down(cluster)


@pytest.fixture(scope="session")
def cluster(program: Program, bring_up: Callable[..., Cluster]) -> Cluster:
    """Five isolated nodes with accounting, and a grace time that a test can wait for.

    The program comes first: nodes see what was mounted before they started, wherever mounts are not shared.
    """
    return bring_up("a", num_nodes=5, grace_seconds=4, is_isolated=True, has_accounting=True)


@pytest.fixture(scope="session")
def program(possible: None) -> Iterator[Program]:
    """The project's own commands, where the cluster's user can read them."""
    with readable() as program:
        yield program


@pytest.fixture(scope="session")
def settle_in(program: Program, bring_up: Callable[..., Cluster]) -> Iterator[Callable[..., User]]:
    """Brings up a cluster of one's own, with an ordinary user who has prepared some music there."""
    users: list[User] = []

    def settle(letter: str, **options: object) -> User:
        users.append(settled(bring_up(letter, **options), program))
        return users[-1]

    yield settle
    for user in users:
        leave(user)


@pytest.fixture(scope="session")
def shell(cluster: Cluster) -> Shell:
    return Shell(cluster)


@pytest.fixture(scope="session")
def user(cluster: Cluster, program: Program) -> Iterator[User]:
    user = settled(cluster, program)
    yield user
    leave(user)


def settled(cluster: Cluster, program: Program) -> User:
    user = User(Shell(cluster), program)
    assert user(program.python, "-c", MUSIC).returncode == 0
    user.wavenet("prepare", "source=music", "cluster=local", *CLIPS)
    return user


def leave(user: User) -> None:
    """Nothing may be running when its cluster is taken down."""
    if user.shell.cluster in registry.registered():
        user("scancel", f"--user={user.shell.cluster.user}")
        wait_until(lambda: user.shell("squeue", "--noheader") == "", PATIENCE)


@pytest.fixture(scope="session")
def limited(settle_in: Callable[..., User]) -> User:
    """A user on a cluster with small arrays, and with accounting that enforces limits."""
    limits = ("MaxArraySize=21", "AccountingStorageEnforce=associations,limits,qos")
    return settle_in("m", num_nodes=4, grace_seconds=4, is_isolated=True, has_accounting=True, settings=limits)


@pytest.fixture(scope="session")
def many(limited: User) -> RunPaths:
    """A run with checkpoints and genres for `PAIRS`."""
    words = ("-m", "tests.cluster.pairs", "runs/many", str(NUM_CHECKPOINTS), str(NUM_GENRES))
    done = limited(limited.program.python, *words)
    assert done.returncode == 0, done.stderr
    return RunPaths(limited.shell.home / "runs" / "many")


@pytest.fixture(scope="session")
def difficult(settle_in: Callable[..., User]) -> User:
    """A user on a cluster without accounting that requeues no job which did not ask for it; its grace time is long."""
    return settle_in("s", num_nodes=7, grace_seconds=60, is_isolated=True, settings=("JobRequeue=0",))


@pytest.fixture(scope="session")
def untouched(user: User) -> Story:
    """The same run without Slurm, and without anything happening to it."""
    user.wavenet("train", "run=untouched", *TINY, "cluster=local")
    return Story(user.shell, RunPaths(user.shell.home / "runs" / "untouched"), "")


def traces(name: str) -> dict[str, list[str]]:
    """All that is on this machine of a cluster of this name: empty if it left nothing."""
    folder = str(registry.folder_of(name))
    found = {
        "links": [link.name for link in Path("/sys/class/net").iterdir() if name in link.name],
        "mounts": [line for line in Path("/proc/mounts").read_text("utf-8").splitlines() if name in line],
        "cgroups": [str(path) for path in Path("/sys/fs/cgroup").glob("*/*") if name in path.name],
        "files": [str(path) for place in ("/tmp", "/run", "/home") for path in Path(place).glob(f"*{name}*")],
        "registry": [str(path) for path in registry.REGISTRY.glob("*") if name in path.read_text("utf-8")],
        "accounts": [entry.pw_name for entry in pwd.getpwall() if name in entry.pw_name],
        "processes": [],
    }
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            # The mounts that it sees tell who lives in a node's name spaces, whatever its own name.
            known_by = b"".join((process / file).read_bytes() for file in ("cmdline", "environ", "mountinfo"))
            if folder.encode() in known_by and int(process.name) != os.getpid():
                found["processes"].append(f"{process.name} {known_by!r}")
    return {kind: things for kind, things in found.items() if things}
