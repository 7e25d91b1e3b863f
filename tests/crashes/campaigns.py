"""Befall a writer at one system call after the other, and collect what the judge finds."""

from __future__ import annotations

import shutil
import signal
import tempfile
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.crashes.faults import KILLS, Fault
from tests.crashes.judge import violations
from tests.crashes.tracer import ALL, CHANGES, Call
from tests.crashes.writer import Told, Writer, attempt, writing
from wavenet.checkpoint import store
from wavenet.run_paths import RunPaths

NAME = "a 'run'\nwith \"quotes\""
ATTEMPTS_OF_A_RUN = 12
"""Deaths of one run, one after the other, before another is begun: a ledger of hundreds of entries shows no more."""


@dataclass
class Result:
    """What a campaign did and found: ``counts`` by (fault, call), and a sentence for everything that is not right."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    found: list[str] = field(default_factory=list)

    @property
    def num_points(self) -> int:
        return sum(self.counts.values())

    def add(self, other: Result) -> None:
        """Put another campaign's points and findings to these."""
        self.counts += other.counts
        self.found += other.found

    def note(self, fault: str, call: Call | None, found: list[str]) -> None:
        """Count one point, and keep what was found there."""
        self.counts[fault, call.name if call else "-"] += 1
        at = f"{call.name} of {', '.join(path.name for path in call.paths)}" if call else "the end"
        self.found += [f"{fault} at {at}: {sentence}" for sentence in found]


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder in memory where there is one: what SIGKILL leaves behind does not depend on the disk."""
    memory = Path("/dev/shm")
    place = tempfile.mkdtemp(prefix="crashes-", dir=memory if memory.is_dir() else None)
    try:
        yield Path(place).resolve()
    finally:
        shutil.rmtree(place)


def num_calls(folder: Path, watched: Collection[str]) -> int:
    """System calls about its run that an untouched attempt makes when it goes on from one before it."""
    run = begun(folder / "counted", spoilt=False)
    with writing(run, folder, watched) as writer:
        return sum(1 for _ in _calls(writer, watched))


def _calls(writer: Writer, watched: Collection[str]) -> Iterator[Call]:
    """The calls as the writer comes to them; asking for the next makes the one before."""
    while (call := writer.process.next_call()) is not None:
        if watched is not CHANGES or call.is_change:
            yield call


def kill(num_points: int) -> Result:
    """SIGKILL at ``num_points`` points, evenly spread over the calls that change something.

    Each dies before, after, or in the middle of its call, and a run is killed several times in a row.
    """
    result = Result()
    with scratch() as folder:
        total = num_calls(folder, CHANGES)
        for number in range(num_points):
            if number % ATTEMPTS_OF_A_RUN == 0:
                run = begun(folder / str(number), spoilt=number // ATTEMPTS_OF_A_RUN % 2 == 1)
                promised, damaged = {10, 20}, {20} if number // ATTEMPTS_OF_A_RUN % 2 else set()
            fault = KILLS[number % len(KILLS)]
            with writing(run, folder, CHANGES) as writer:
                call = _befall(writer, fault, number * total // num_points, CHANGES)
                told = writer.told()
            promised |= set(told.committed)
            found = violations(run, promised, damaged) + _unforeseen(told)
            if call is not None and writer.process.let_go() != -signal.SIGKILL:
                found.append("it was not killed")
            promised, damaged = _after_judgement(run), set()
            result.note(fault.value, call, found)
    return result


def disturb(stride: int = 1) -> Result:
    """Every ``stride``-th system call fails, each with every error, or is cut short; the process decides what then."""
    result = Result()
    faults = [fault for fault in Fault if fault not in KILLS]
    with scratch() as folder:
        total = num_calls(folder, ALL)
        for number in range(0, total * len(faults), stride):
            fault, spoilt = faults[number % len(faults)], number // len(faults) % 2 == 1
            run = begun(folder / str(number), spoilt=spoilt)
            with writing(run, folder) as writer:
                call = _befall(writer, fault, number // len(faults), ALL)
                writer.process.let_go()
                told = writer.told()
            damaged = {20} if spoilt else set()
            found = violations(run, {10, 20, *told.committed} - damaged, damaged) + _unforeseen(told)
            if call is not None:
                result.note(fault.value, call, found)
            shutil.rmtree(run.root)
    return result


def _befall(writer: Writer, fault: Fault, place: int, watched: Collection[str]) -> Call | None:
    """Let ``fault`` happen to the call number ``place``, or the first after it that it can happen to."""
    for number, call in enumerate(_calls(writer, watched)):
        if number >= place and fault.can_befall(call):
            fault.befall(writer.process, call)
            return call
    return None


def begun(root: Path, *, spoilt: bool) -> RunPaths:
    """A run with two checkpoints, the newer of them with a flipped bit where it is to be ``spoilt``."""
    run = RunPaths(root / NAME)
    attempt(run, lambda kind, value: None)
    if spoilt:
        weights = run.checkpoint(20) / "weights.safetensors"
        content = bytearray(weights.read_bytes())
        content[-1] ^= 1
        weights.write_bytes(content)
    return run


def _after_judgement(run: RunPaths) -> set[int]:
    """What is promised from now on: the judge, too, has committed."""
    return {checkpoint.step for checkpoint in store.list_committed(run)}


def _unforeseen(told: Told) -> list[str]:
    return [f"not one sentence: {told.error.splitlines()[-1]}"] if "Traceback" in told.error else []
