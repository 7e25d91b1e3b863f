"""An array that is too large for the cluster becomes several, which hold together and never run more than allowed."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from jobs.cluster import ClusterConfig, Executor
from jobs.queue import scheduler
from jobs.queue.submission import Submission, submit
from jobs.results import Done
from jobs.work import slurm_tasks
from wavenet.errors import StageFailedError

CLUSTER = ClusterConfig(executor=Executor.slurm, time_limit_minutes=10, max_parallel=3)


def nothing(number: int) -> Done:
    return Done(number)


@dataclass
class Sbatch:
    """Takes scripts, and says to each beyond the first ``most`` what a limit or a typing error would."""

    most: int = 100
    complaint: str = "sbatch: error: AssocMaxSubmitJobLimit\n"
    scripts: list[str] = field(default_factory=list)

    def __call__(self, script: Path, comment: str) -> tuple[str | None, str]:
        text = script.read_text("utf-8")
        found = re.search(r"--array='?0-(\d+)", text)
        if (int(found[1]) + 1 if found else 1) > self.most:
            return None, self.complaint
        self.scripts.append(text)
        return str(100 + len(self.scripts)), ""

    def options(self, name: str) -> list[str | None]:
        found = (re.search(rf"^#SBATCH --{name}='?([^'\n]*)", text, re.MULTILINE) for text in self.scripts)
        return [match[1] if match else None for match in found]


@pytest.fixture
def sbatch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Sbatch:
    for name in ("srun", "sbatch"):
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / name).touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    sbatch = Sbatch()
    monkeypatch.setattr(scheduler, "submit", sbatch)
    monkeypatch.setattr(scheduler, "array_size", lambda: 4)
    monkeypatch.setattr(scheduler, "has_own_jobs", lambda: False)
    monkeypatch.setattr(scheduler, "with_comment", lambda comment: [])
    return sbatch


@pytest.fixture
def send(sbatch: Sbatch, tmp_path: Path) -> Callable[..., tuple[str, Path]]:
    def send(num_tasks: int, cluster: ClusterConfig = CLUSTER, **options: str) -> tuple[str, Path]:
        folder = tmp_path / "jobs" / "generate-1"
        folder.mkdir(parents=True)
        calls = [(nothing, number) for number in range(num_tasks)]
        asked = Submission.of(cluster, "x", num_jobs=num_tasks)
        return submit(asked, folder, slurm_tasks.run, calls, **options), folder

    return send


def test_arrays_share_what_may_run_at_once(sbatch: Sbatch, send: Callable[..., tuple[str, Path]]) -> None:
    """So one throttle holds for all, and none waits for the last task of another; what comes after waits for each."""
    last, folder = send(9, after="7")
    assert last == "101:102:103"
    assert sbatch.options("array") == ["0-2%1"] * 3
    assert sbatch.options("dependency") == ["afterany:7"] * 3
    assert (folder.parent / "submitted").read_text("utf-8") == "101 x\n102 x\n103 x\n"


def test_arrays_beyond_what_may_run_at_once_follow_others(
    sbatch: Sbatch, send: Callable[..., tuple[str, Path]]
) -> None:
    """Each of them one."""
    assert send(17, after="7")[0] == "104:105:103"
    assert sbatch.options("array") == ["0-3%1"] * 4 + ["0-0%1"]
    assert sbatch.options("dependency") == ["afterany:7"] * 3 + ["afterany:101", "afterany:102"]


def test_every_task_has_its_pickle(send: Callable[..., tuple[str, Path]]) -> None:
    """Under the number that its array gives it, in the folder where the next stage counts marks of completion."""
    _, folder = send(9)
    pickles = {path.name for path in folder.glob("*.pkl")}
    assert pickles == {f"{job}_{number}_submitted.pkl" for job in (101, 102, 103) for number in range(3)}


def test_what_fits_is_one_array_and_one_task_is_none(sbatch: Sbatch, send: Callable[..., tuple[str, Path]]) -> None:
    """As the scheduler takes it, or smaller where the profile says so."""
    assert send(1)[0] == "101"
    assert sbatch.options("array") == [None]


def test_a_profile_may_want_smaller_arrays(sbatch: Sbatch, send: Callable[..., tuple[str, Path]]) -> None:
    """Where a limit on submitted jobs is known."""
    send(4, ClusterConfig(executor=Executor.slurm, time_limit_minutes=10, array_size=2))
    assert sbatch.options("array") == ["0-1%2", "0-1%2"]


def test_a_limit_below_the_largest_array_halves_it(sbatch: Sbatch, send: Callable[..., tuple[str, Path]]) -> None:
    """Waiting would change nothing as long as the queue is empty."""
    sbatch.most = 2
    send(9)
    assert sbatch.options("array") == ["0-1%1"] * 4 + ["0-0%1"]


@pytest.mark.parametrize(
    ("config", "size"),
    [
        ("MaxArraySize            = 21\nMaxJobCount = 10000\n", 21),
        ("MaxArraySize            = 1001\nSchedulerParameters     = bf_interval=1,max_array_tasks=50\n", 50),
        ("MaxArraySize            = 0\n", 1),
        ("", 1001),
    ],
)
def test_the_largest_array_is_what_slurm_says(monkeypatch: pytest.MonkeyPatch, config: str, size: int) -> None:
    """Two settings limit it; where there is no answer, its default is the best guess."""
    answer = subprocess.CompletedProcess([], 0, stdout=config, stderr="")
    monkeypatch.setattr(scheduler, "_run", lambda command: answer)
    assert scheduler.array_size() == size


def test_a_refusal_leaves_nothing_half_done(
    sbatch: Sbatch, send: Callable[..., tuple[str, Path]], tmp_path: Path
) -> None:
    """No script, no pickle, no record."""
    sbatch.most, sbatch.complaint = 0, "sbatch: error: Batch job submission failed: Invalid qos specification\n"
    with pytest.raises(StageFailedError, match=r"cluster\.qos"):
        send(9)
    assert list((tmp_path / "jobs").rglob("*.*")) == []
    assert not (tmp_path / "jobs" / "submitted").exists()
