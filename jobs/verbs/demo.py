"""``wavenet demo``: a small music library, and the whole pipeline on it with two interruptions of the training."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from jobs.folders import absolute, shown
from jobs.terminal import STEP_LINE, Display
from jobs.verbs.generate import generate
from jobs.verbs.generate_keys import GenerateKeys
from jobs.verbs.prepare import PrepareKeys, prepare
from jobs.verbs.report import ReportKeys, report
from jobs.verbs.train import TrainKeys, train
from jobs.verbs.typed import Typist
from jobs.work.local import LocalJob
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
    typist, folder = Typist("demo", display), absolute(keys.folder)
    run = RunPaths(folder / "runs" / "demo")
    interruptions = [(one["step"], signal.Signals[one["signal"]]) for one in typist.settings["interrupt"]]
    interrupter = Interrupter(interruptions, display)
    typist.make_music(folder / "music", keys.seed)
    data, at, seed = f"data={shown(folder / 'data')}", f"run={shown(run.root)}", f"seed={keys.seed}"
    typist.type("prepare", PrepareKeys, prepare, [f"source={shown(folder / 'music')}", data, "cluster=local"])
    watched = partial(train, watch=interrupter)
    typist.type("train", TrainKeys, watched, [data, at, seed, "cluster=local"])
    typist.type("generate", GenerateKeys, generate, [at, "cluster=local"])
    typist.type("report", ReportKeys, report, [at])
    display.line(f"\ndone in {typist.spent()}")
    page = run.report / "index.html"
    display.line(f"open {shown(page)} in a browser: {page.as_uri()}")
