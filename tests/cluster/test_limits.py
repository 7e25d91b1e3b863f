"""What a real Slurm refuses is waited for where it may pass, ends at once where not, and is never submitted twice."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from slurm.devcluster.commands import do
from slurm.devcluster.processes import of_cluster
from slurm.devcluster.users import as_user
from wavenet.run_paths import RunPaths

from .pairs import PAIRS
from .shell import PATIENCE
from .user import SLURM, TINY, User

# One worker brings the cluster up, once.
pytestmark = [pytest.mark.xdist_group("devcluster-m"), pytest.mark.timeout(600)]

LATER = "cluster.sbatch=['begin=now+3600']"  # nothing here needs to run
REFUSED = {
    "qos": ([*SLURM, "cluster.qos=nix"], "Invalid qos specification", "cluster.qos"),
    "gres": (["cluster=gpu-gres", "cluster.partition=urgent"], "Invalid generic resource", "cluster.gres"),
}
SHAPES = {
    "free-partition": ["Partition=preemptible", "TimeLimit=02:00:00"],
    "account-qos": ["Account=research", "QOS=normal"],
    "cancelling": ["Partition=cancel"],
    "short-limits": ["TimeLimit=01:00:00"],
    "offline": ["Partition=preemptible"],
}


def command(user: User, name: str, *words: str) -> list[str]:
    return [user.program.wavenet, "train", f"run={name}", *TINY, LATER, *words]


def send_to_controller(user: User, number: signal.Signals) -> None:
    """Stopped, it answers nobody, but finds all that was asked when it goes on."""
    for each in of_cluster(user.shell.cluster):
        if each.role == "slurmctld":
            os.kill(each.pid, number)


def in_queue(user: User, name: str) -> int:
    return user.shell("squeue", "--noheader", "--array", "--format=%j").split().count(name)


@pytest.fixture
def limit(limited: User) -> Iterator[Callable[[int], None]]:
    """Sets how many jobs the user may have submitted."""
    cluster = limited.shell.cluster

    def set_limit(number: int) -> None:
        change = ["set", f"MaxSubmitJobs={number}"]
        do(["sacctmgr", "--immediate", "--quiet", "modify", "user", cluster.user, *change], cluster)

    yield set_limit
    set_limit(-1)
    limited("scancel", f"--user={cluster.user}")


@contextmanager
def waiting(user: User, words: list[str], said: str) -> Iterator[subprocess.Popen[str]]:
    """A command of the user's that has said what it waits for."""
    options = as_user(user.shell.cluster, **user.program.variables)
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options) as process:
        try:
            assert process.stdout is not None
            lines = []
            for line in process.stdout:
                lines.append(line)
                if said in line:
                    break
            assert said in lines[-1], lines
            yield process
        finally:
            process.kill()


def test_a_limit_on_jobs_is_named_and_waited_for(limited: User, limit: Callable[[int], None]) -> None:
    """As soon as another job is gone, the run is in the queue."""
    before = limited.shell.submit("before", "true", "--begin=now+3600")
    limit(1)
    said = "waiting for Slurm to take wavenet-train-patient (AssocMaxSubmitJobLimit), 30:00 left; Ctrl-C ends it"
    with waiting(limited, command(limited, "patient", *SLURM), said) as process:
        limited.shell("scancel", before)
        rest, _ = process.communicate(timeout=PATIENCE)
    assert "submitted wavenet-train-patient as job" in rest
    assert in_queue(limited, "wavenet-train-patient") == 1


def test_waiting_ends_by_ctrl_c_and_by_itself(limited: User, limit: Callable[[int], None]) -> None:
    """Nothing stays in the queue, and the sentence says what would help."""
    limited.shell.submit("before", "true", "--begin=now+3600")
    limit(1)
    with waiting(limited, command(limited, "patient", *SLURM), "AssocMaxSubmitJobLimit") as process:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    done = limited(*command(limited, "impatient", *SLURM, "cluster.submit_minutes=0.01"))
    assert done.returncode == 10
    assert done.stderr.count("\n") == 1
    assert "has not taken wavenet-train-impatient in 0:01: AssocMaxSubmitJobLimit; start it again" in done.stderr
    assert [in_queue(limited, f"wavenet-train-{name}") for name in ("patient", "impatient")] == [0, 0]


def test_an_array_above_the_limit_goes_in_parts(limited: User, many: RunPaths, limit: Callable[[int], None]) -> None:
    """Half of an array that the cluster takes fits; what does not is waited for, and Ctrl-C keeps the rest."""
    limit(12)
    words = [limited.program.wavenet, "generate", f"run={many.name}", *SLURM, LATER, *PAIRS, "seed=8"]
    with waiting(limited, words, "AssocMaxSubmit") as process:
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=PATIENCE)
    assert "8 of 45 tasks were submitted before and stay in the queue\n" in rest
    assert in_queue(limited, f"wavenet-generate-{many.name}") == 8


def test_a_submission_whose_answer_was_lost_is_found(limited: User) -> None:
    """By its comment, beside the user's own: the controller took it after sbatch had given up, and takes it once."""
    own = "cluster.sbatch=['begin=now+3600','comment=for my thesis']"
    said = "waiting for Slurm to take wavenet-train-lost (Socket timed out on send/recv operation)"
    send_to_controller(limited, signal.SIGSTOP)
    try:
        with waiting(limited, command(limited, "lost", *SLURM, own), said) as process:
            send_to_controller(limited, signal.SIGCONT)
            rest, _ = process.communicate(timeout=PATIENCE)
    finally:
        send_to_controller(limited, signal.SIGCONT)
    (line,) = limited.shell("squeue", "--noheader", "--name=wavenet-train-lost", "--format=%A %k").splitlines()
    job, _, comment = line.partition(" ")
    assert f"submitted wavenet-train-lost as job {job};" in rest
    assert comment.startswith("for my thesis wavenet-")
    limited.shell("scancel", job)


@pytest.fixture(scope="module")
def answers(limited: User) -> dict[str, subprocess.CompletedProcess[str]]:
    """What is said to requests that are refused, and to those of the profiles for common shapes of site."""
    words = {name: keys for name, (keys, *_) in REFUSED.items()} | {name: [f"cluster={name}"] for name in SHAPES}
    with ThreadPoolExecutor(2) as pool:
        done = pool.map(lambda name: limited(*command(limited, name, *words[name])), words)
        return dict(zip(words, done, strict=True))


@pytest.mark.parametrize("name", REFUSED)
def test_what_slurm_will_never_take_ends_at_once(
    answers: dict[str, subprocess.CompletedProcess[str]], name: str
) -> None:
    """In one sentence with Slurm's own words and the key to change."""
    _, reason, key = REFUSED[name]
    assert answers[name].returncode == 10
    assert answers[name].stderr.count("\n") == 1
    assert f"Slurm does not take wavenet-train-{name}: {reason}" in answers[name].stderr
    assert f"what was asked for is set by {key}" in answers[name].stderr


@pytest.mark.parametrize("name", SHAPES)
def test_the_profiles_for_common_sites_are_taken(
    answers: dict[str, subprocess.CompletedProcess[str]], limited: User, name: str
) -> None:
    """As far as a cluster without GPUs can honour them."""
    assert answers[name].returncode == 0, answers[name].stderr
    job = answers[name].stdout.partition(" as job ")[2].partition(";")[0]
    shown = limited.shell("scontrol", "show", "job", job)
    assert all(words in shown.split() for words in SHAPES[name])
    limited.shell("scancel", job)
