"""The one run that everything happens to: where it stands, its processes, and how to hit it."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import TypeVar

from jobs.processes import started_tick
from jobs.verbs.costs import Blow
from slurm.devcluster.record import Cluster
from tests.cluster.shell import PATIENCE
from tests.cluster.user import User
from wavenet.run_paths import RunPaths

T = TypeVar("T")

INTERVAL = 10
"""Steps between checkpoints."""
_POLL_SECONDS = 0.1
_LOOK_SECONDS = 15.0


@dataclass
class Victim:
    """A run of the user's with the jobs that it became, one after another."""

    user: User
    run: RunPaths
    words: list[str]
    blows: list[Blow] = field(default_factory=list)
    fault: str = ""
    """The one that is being prepared."""
    num_released: int = 0
    """Times that Slurm held the job."""
    _pids: set[int] = field(default_factory=set)
    """Processes that were hit, or live on as zombies."""
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(8))
    _aftermath: list[Future[None]] = field(default_factory=list)

    @property
    def cluster(self) -> Cluster:
        return self.user.shell.cluster

    def begin(self) -> None:
        """What the user types, at first and after an end that only the user can undo."""
        self.user.wavenet("train", f"run={self.run.root}", *self.words)

    def job(self) -> str:
        """The newest, as the run's own record says."""
        return (self.run.jobs / "submitted").read_text("utf-8").split("\n")[-2].partition(" ")[0]

    def decisions(self) -> list[str]:
        """Of the batch scripts, with their reasons."""
        try:
            return (self.run.jobs / "decisions.log").read_text("utf-8").splitlines()
        except FileNotFoundError:
            return []

    def newest_attempt(self) -> int:
        return max((int(path.stem.partition("-")[2]) for path in self.run.history.glob("attempt-*.jsonl")), default=0)

    def steps(self) -> list[int]:
        """That the newest attempt has made."""
        return [int(step) for step in re.findall(r'"kind": "step".*?"step": (\d+)', self._history())]

    def has_end(self) -> bool:
        return '"kind": "end"' in self._history()

    def _history(self) -> str:
        try:
            return self.run.attempt_history(self.newest_attempt()).read_text("utf-8")
        except FileNotFoundError:
            return ""

    def process(self) -> int:
        """Wait for the training process of a start that nothing has happened to yet."""
        return wait_for(self._process, "a training process", self.story)

    def _process(self) -> int | None:
        found = [(started_tick(pid) or 0, pid) for pid in self._processes() if pid not in self._pids]
        return max(found)[1] if found else None

    def _processes(self) -> Iterator[int]:
        place = str(self.run.jobs).encode()
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                words = (folder / "cmdline").read_bytes().split(b"\0")
                if b"submitit.core._submit" in words and b"srun" not in words[0] and place in b" ".join(words):
                    yield int(folder.name)

    def training(self, num_steps: int) -> int:
        """Wait until an attempt that nothing has happened to has made so many steps; its process."""
        hit = max((blow.attempt or 0 for blow in self.blows), default=0)
        wait_for(
            lambda: self.newest_attempt() > hit and len(self.steps()) >= num_steps, f"{num_steps} steps", self.story
        )
        return self.process()

    @contextlib.contextmanager
    def held(self, pid: int) -> Iterator[None]:
        """Within the block the process stands still, wherever it was."""
        send(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            send(pid, signal.SIGCONT)

    def stop(self, pid: int) -> None:
        """Return when it stands still, or is gone."""
        send(pid, signal.SIGSTOP)
        wait_for(lambda: _state(pid) in "tTZX", f"process {pid} to stand still", self.story, poll_seconds=0.001)

    def hit(self, pid: int) -> None:
        """The blow falls now, on this process, which stands still or cannot tell the difference."""
        known = max((blow.attempt or 0 for blow in self.blows), default=0)
        newest = self.newest_attempt()
        self._pids.add(pid)
        self.blows.append(Blow(self.fault, datetime.now(timezone.utc), newest if newest > known else None))

    def wait_until_gone(self, pid: int) -> None:
        wait_for(lambda: started_tick(pid) is None, f"the end of process {pid}", self.story)

    def later(self, work: Callable[[], None]) -> None:
        """Do what need not be waited for before the next blow."""
        self._aftermath.append(self._pool.submit(work))

    @contextlib.contextmanager
    def attended(self) -> Iterator[None]:
        """Within the block the user looks now and then, and types what `status` says of a job that Slurm holds."""
        is_over = threading.Event()

        def release() -> None:
            while not is_over.wait(_LOOK_SECONDS):
                if "held" in self.user("squeue", "--noheader", f"--jobs={self.job()}", "--format=%r").stdout:
                    self.num_released += 1
                    self.user("scontrol", "release", self.job())

        looking = self._pool.submit(release)
        try:
            yield
        finally:
            is_over.set()
            looking.result()

    def settle(self) -> list[str]:
        """Wait for all that was left for later; a sentence for each thing that went wrong there."""
        wait(self._aftermath, timeout=2 * PATIENCE)
        wrong = [each.exception() if each.done() else "it is not over" for each in self._aftermath]
        return [f"what a fault leaves could not be mended: {reason}" for reason in wrong if reason]

    def story(self) -> str:
        """What is known, for the message of a campaign that fails."""
        queue = self.user("squeue", "--states=all", "--format=%i %j %P %T %r %N %M %l").stdout
        nodes = self.user("sinfo", "--noheader", "--Node", "--partition=urgent", "--format=%N %t").stdout.split("\n")
        last = "\n".join(self.decisions()[-8:])
        return f"preparing {self.fault}; newest attempt {self.newest_attempt()}\n{queue}{', '.join(nodes)}\n{last}"


def node_of(pid: int) -> str:
    """Where Slurm has started the process."""
    variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return next(each for each in variables if each.startswith(b"SLURMD_NODENAME=")).partition(b"=")[2].decode()


def is_told(pid: int, number: signal.Signals) -> bool:
    """Whether the signal has reached the stopped process, or has set it going already."""
    fields = _status(pid)
    pending = int(fields.get("ShdPnd", "0"), 16) | int(fields.get("SigPnd", "0"), 16)
    return bool(pending >> (number - 1) & 1) or _state(pid) not in "tT"


def _state(pid: int) -> str:
    """One letter; X of a process that is gone."""
    return _status(pid).get("State", "X").split()[0]


def _status(pid: int) -> dict[str, str]:
    try:
        status = Path(f"/proc/{pid}/status").read_text("utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return {}
    return dict(line.split(":", 1) for line in status.splitlines() if ":" in line)


def send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def wait_for(
    look: Callable[[], T | None],
    what: str,
    story: Callable[[], str],
    seconds: float = PATIENCE,
    poll_seconds: float = _POLL_SECONDS,
) -> T:
    """The first answer that is true.

    Raises:
        AssertionError: none came in time, with what is known.
    """
    deadline = time.monotonic() + seconds
    while not (answer := look()):
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}: {story()}"
        time.sleep(poll_seconds)
    return answer
