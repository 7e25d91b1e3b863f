"""Verbs that type other verbs: the command is shown as a person would type it, and what it took is remembered."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from jobs.folders import shown
from jobs.keys.compose import compose_for_run
from jobs.terminal import Display, duration


class Typist:
    """Types the words of ``configs/NAME.yaml``, after those that depend on where it types."""

    def __init__(self, name: str, display: Display) -> None:
        text = resources.files("jobs.configs").joinpath(f"{name}.yaml").read_text("utf-8")
        self.settings: dict[str, Any] = yaml.safe_load(text)
        self._display = display
        self._seconds: dict[str, float] = {}

    def type(self, verb: str, schema: type, program: Callable[..., None], words: Sequence[str]) -> None:
        """Show ``wavenet VERB …`` and do it."""
        typed = [*words, *self.settings[verb]]
        self._display.line(f"\n$ wavenet {verb} {shlex.join(typed)}")
        keys: Any = compose_for_run(verb, schema, typed)
        self.timed(verb, lambda: program(keys))

    def make_music(self, folder: Path, seed: int, **size: float) -> None:
        """Write a library, unless it is there; ``size`` as `write_library` takes it."""
        from wavenet.synthetic.library import write_library

        self._display.line(f"music: a small tagged library in {shown(folder)}")
        self.timed("music", lambda: write_library(folder, seed, self._display.progress("music: files"), **size))
        self._display.end()

    def timed(self, what: str, work: Callable[[], None]) -> None:
        """Do it, and remember what it took."""
        started = time.monotonic()
        work()
        self._seconds[what] = self._seconds.get(what, 0.0) + time.monotonic() - started

    def spent(self) -> str:
        """``1:56 (music 0:07, train 1:49)``."""
        return f"{duration(sum(self._seconds.values()))} ({_listed(self._seconds)})"


def _listed(seconds: Mapping[str, float]) -> str:
    return ", ".join(f"{what} {duration(one)}" for what, one in seconds.items())
