"""Waiting for a scheduler that takes no job now: bounded, named in one line, and never submitting twice."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from jobs.queue import scheduler
from jobs.queue.patience import Patience, Request, TooManyError, hand_in
from wavenet.errors import StageFailedError

LIMIT = "sbatch: error: AssocMaxSubmitJobLimit\n"
LOST = "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation\n"
REQUEST = Request("wavenet-train-x", Path("script.sh"), "mine wavenet-1", "wavenet-1", can_be_smaller=False)


@dataclass
class Slurm:
    """Answers each sbatch with the next of ``answers``: an id, or a complaint; one that ends in ! took the job."""

    answers: list[str]
    queue: dict[str, str] = field(default_factory=dict)
    num_submitted: int = 0
    now: float = 0.0
    has_jobs: bool = True

    def submit(self, script: Path, comment: str) -> tuple[str | None, str]:
        self.num_submitted += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer.isdigit() or answer.endswith("!"):
            self.queue[str(40 + self.num_submitted)] = comment
        return (str(40 + self.num_submitted), "") if answer.isdigit() else (None, answer.removesuffix("!"))

    def with_comment(self, comment: str) -> list[str] | None:
        return [job_id for job_id, theirs in self.queue.items() if comment in theirs]

    def cancel(self, job_ids: list[str]) -> None:
        for job_id in job_ids:
            del self.queue[job_id]

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def patience(self, seconds: float) -> Patience:
        return Patience(seconds, clock=lambda: self.now, sleep=self.sleep)


@pytest.fixture
def slurm(monkeypatch: pytest.MonkeyPatch) -> Slurm:
    slurm = Slurm(["1"])
    for name in ("submit", "with_comment", "cancel"):
        monkeypatch.setattr(scheduler, name, getattr(slurm, name))
    monkeypatch.setattr(scheduler, "has_own_jobs", lambda: slurm.has_jobs)
    return slurm


def test_a_limit_is_waited_for(slurm: Slurm, capsys: pytest.CaptureFixture[str]) -> None:
    """With pauses that grow, and a line that names it, how long and how to end it."""
    slurm.answers = [LIMIT, LIMIT, LIMIT, "1"]
    assert hand_in(REQUEST, slurm.patience(1800)) == "44"
    assert slurm.now == 2 + 4 + 8
    said = "waiting for Slurm to take wavenet-train-x (AssocMaxSubmitJobLimit), 30:00 left; Ctrl-C ends it\n"
    assert capsys.readouterr().out == said


def test_waiting_comes_to_an_end(slurm: Slurm) -> None:
    """In one sentence, after the last try at the very end of the time."""
    slurm.answers = [LIMIT]
    with pytest.raises(
        StageFailedError, match=r"has not taken wavenet-train-x in 0:30: AssocMax.*cluster.submit_minutes"
    ):
        hand_in(REQUEST, slurm.patience(30))
    assert (slurm.now, slurm.num_submitted) == (30, 5)


def test_what_would_be_refused_again_is_not_waited_for(slurm: Slurm) -> None:
    """The sentence has Slurm's words and the key."""
    slurm.answers = ["sbatch: error: Batch job submission failed: Invalid qos specification\n"]
    with pytest.raises(StageFailedError, match=r"Invalid qos specification; what was asked for is set by cluster\.qos"):
        hand_in(REQUEST, slurm.patience(30))
    assert slurm.num_submitted == 1


def test_a_lost_answer_is_looked_up(slurm: Slurm) -> None:
    """Found by its comment, the job is not submitted again; not found, it is."""
    slurm.answers = [LOST + "!"]
    assert hand_in(REQUEST, slurm.patience(30)) == "41"
    assert (slurm.num_submitted, list(slurm.queue)) == (1, ["41"])
    slurm.queue.clear()
    slurm.answers = [LOST, "1"]
    assert hand_in(REQUEST, slurm.patience(30)) == "43"
    assert list(slurm.queue) == ["43"]


def test_a_job_that_appears_late_is_withdrawn(slurm: Slurm, monkeypatch: pytest.MonkeyPatch) -> None:
    """The controller took the first try only after it had said that there was no such job."""
    slurm.answers = [LOST + "!", "1"]
    views = iter([[], ["41", "42"]])
    monkeypatch.setattr(scheduler, "with_comment", lambda comment: next(views))
    assert hand_in(REQUEST, slurm.patience(30)) == "42"
    assert list(slurm.queue) == ["42"]


def test_nothing_is_submitted_while_nobody_knows(slurm: Slurm, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither sbatch nor squeue gives an answer: asked again is squeue alone."""
    slurm.answers = [LOST]
    monkeypatch.setattr(scheduler, "with_comment", lambda comment: None)
    with pytest.raises(StageFailedError, match=r"squeue gives no answer; if it is in the queue after all, .*wavenet-1"):
        hand_in(REQUEST, slurm.patience(30))
    assert slurm.num_submitted == 1


def test_ctrl_c_ends_the_waiting(
    slurm: Slurm, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing of it stays in the queue, even if sbatch was just about to end well."""

    def pressed(script: Path, comment: str) -> tuple[str | None, str]:
        slurm.queue["41"] = comment
        raise KeyboardInterrupt

    monkeypatch.setattr(scheduler, "submit", pressed)
    with pytest.raises(KeyboardInterrupt):
        hand_in(REQUEST, slurm.patience(30))
    assert (slurm.queue, capsys.readouterr().out) == ({}, "")
    monkeypatch.setattr(scheduler, "with_comment", lambda comment: None)
    with pytest.raises(KeyboardInterrupt):
        hand_in(REQUEST, slurm.patience(30))
    assert "squeue does not say whether Slurm has taken wavenet-train-x; if it is" in capsys.readouterr().out


def test_an_array_that_no_waiting_makes_smaller_is_given_back(slurm: Slurm) -> None:
    """A limit refuses it although nothing of the user's is in the queue."""
    slurm.answers, slurm.has_jobs = [LIMIT], False
    with pytest.raises(TooManyError):
        hand_in(Request("x", Path("s"), "c", "c", can_be_smaller=True), slurm.patience(30))
