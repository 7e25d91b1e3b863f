"""``wavenet demo``: a small music library, and the whole pipeline on it with two interruptions of the training."""

from __future__ import annotations

import shlex
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from jobs.compose import compose_for_run
from jobs.folders import absolute, shown
from jobs.generate import GenerateKeys, generate
from jobs.local import LocalJob
from jobs.prepare import PrepareKeys, prepare
from jobs.report import ReportKeys, report
from jobs.terminal import STEP_LINE, Display, duration
from jobs.train import TrainKeys, train
from wavenet.run_paths import RunPaths
from wavenet.settings import key


@dataclass(frozen=True, kw_only=True)
class DemoKeys:
    """Keys of ``wavenet demo``."""

    folder: str = key("demo", "folder to write: music, data and runs")
    seed: int = key(0, "decides the music, the weights and every draw")


class Interrupter:
    """Sends each signal of a list to the training process when it first passes the signal's step."""

    def __init__(self, interruptions: Sequence[tuple[int, signal.Signals]], display: Display) -> None:
        self._interruptions = interruptions
        self._display = display
        self._last_step: int | None = None
        self._sent: set[int] = set()

    def __call__(self, line: str, job: LocalJob) -> None:
        """See a line of the training log."""
        match = STEP_LINE.match(line)
        if match is None:
            return
        step, before = int(match[1]), self._last_step
        self._last_step = step
        for at, number in self._interruptions:
            # Only in passing: a demo that is started again beyond the step has seen its interruption.
            if before is not None and before < at <= step and at not in self._sent:
                self._sent.add(at)
                self._display.line(f"demo: sending {number.name} to the training process at step {step}")
                job.send(number)


def demo(keys: DemoKeys) -> None:
    """Run everything in ``folder``; what is done already is not done again."""
    display = Display()
    folder = absolute(keys.folder)
    settings = yaml.safe_load(resources.files("jobs.configs").joinpath("demo.yaml").read_text("utf-8"))
    run, times = RunPaths(folder / "runs" / "demo"), {}
    where = {name: shown(path) for name, path in _folders(folder, run).items()}
    seed = f"seed={keys.seed}"
    interrupter = Interrupter([(one["step"], signal.Signals[one["signal"]]) for one in settings["interrupt"]], display)

    def stage(verb: str, schema: type, program: Callable[..., None], words: Sequence[str], *more: Any) -> None:
        typed = [*words, *settings[verb]]
        display.line(f"\n$ wavenet {verb} {shlex.join(typed)}")
        started = time.monotonic()
        program(compose_for_run(verb, schema, typed), *more)
        times[verb] = time.monotonic() - started

    times["music"] = _make_music(folder / "music", keys.seed, display)
    source, data, at = f"source={where['music']}", f"data={where['data']}", f"run={where['run']}"
    stage("prepare", PrepareKeys, prepare, [source, data, "cluster=local"])
    stage("train", TrainKeys, train, [data, at, seed, "cluster=local"], interrupter)
    stage("generate", GenerateKeys, generate, [at, "cluster=local"])
    stage("report", ReportKeys, report, [at])
    spent = ", ".join(f"{verb} {duration(seconds)}" for verb, seconds in times.items())
    display.line(f"\ndone in {duration(sum(times.values()))} ({spent})")
    page = run.report / "index.html"
    display.line(f"open {shown(page)} in a browser: {page.as_uri()}")


def _folders(folder: Path, run: RunPaths) -> dict[str, Path]:
    return {"music": folder / "music", "data": folder / "data", "run": run.root}


def _make_music(folder: Path, seed: int, display: Display) -> float:
    """Write the library unless it is there, and return the seconds that took."""
    from wavenet.synthetic.library import write_library

    started = time.monotonic()
    display.line(f"music: a small tagged library in {shown(folder)}")
    write_library(folder, seed, display.progress("music: files"))
    display.end()
    return time.monotonic() - started
