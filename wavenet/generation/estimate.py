"""How long clips will take: from a short real sampling of the checkpoint, or from clips that were made before."""

from __future__ import annotations

import json
import math
import os
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wavenet.generation.config import Variant
from wavenet.generation.engines import Engine, Work, open_engine
from wavenet.generation.requests import ClipRequest
from wavenet.generation.streams import StreamRequest
from wavenet.generation.variants import runnable
from wavenet.run_paths import RunPaths

_MEASURE_SECONDS = 0.3
_MOST_REMEMBERED = 40
_OF_ITS_OWN = 1.0
"""A sample of B streams takes about as long as B + 1 of one: all weights are read once, whatever B is."""


def units(requests: Sequence[ClipRequest], threads: int = 1) -> float:
    """The work of a task with these clips, which divides them among its threads, in samples of one stream."""
    num_samples = sum(request.num_samples for request in requests) / len(requests)
    return num_samples * (-(-len(requests) // threads) + _OF_ITS_OWN)


@dataclass(frozen=True)
class Pace:
    """How fast a run's checkpoints draw, and how that is known.

    Attributes:
        unit_seconds: per sample, of one stream in a batch.
        source: in words, for "so long, as SOURCE".
    """

    unit_seconds: float
    source: str

    @classmethod
    def of(cls, step_seconds: float, num_streams: int, source: str) -> Pace:
        """From the seconds of one sample of a batch."""
        return cls(step_seconds / (num_streams + _OF_ITS_OWN), source)

    def seconds(self, requests: Sequence[ClipRequest], threads: int = 1) -> float:
        """Of one task with these clips."""
        return units(requests, threads) * self.unit_seconds


def measure(requests: Sequence[ClipRequest], checkpoint: Path) -> Pace | None:
    """Draw a little with a task's clips, on one thread; None where only another machine could.

    By torch, which takes seconds to begin, nothing is measured either. Raises as `open_engine`.
    """
    possible = runnable()
    variant = possible[0] if requests[0].variant is Variant.auto else requests[0].variant
    if variant not in possible or variant is Variant.torch:
        return None
    engine = open_engine(variant, checkpoint, requests[0].weights, 1, math.inf)
    num_streams = min(len(requests), engine.most_streams)
    num_samples, taken = 64, 0.0
    while taken < _MEASURE_SECONDS / 2:
        num_samples *= 2
        taken = _drawn_in(engine, requests[:num_streams], num_samples)
    rate = num_streams * num_samples / taken
    words = f"a moment of sampling with step {requests[0].step} went here ({rate:,.0f} samples/s on one core)"
    return Pace.of(taken / num_samples, num_streams, words)


def _drawn_in(engine: Engine, requests: Sequence[ClipRequest], num_samples: int) -> float:
    """Seconds for so many samples of every stream; nothing is kept of them."""
    streams = [StreamRequest(request.class_id, request.seed, request.stream) for request in requests]
    nowhere = [Path(os.devnull, "nowhere") for _ in streams]
    work = Work(streams, num_samples, requests[0].sampling, nowhere, [""] * len(streams))
    began = time.monotonic()
    levels = engine.draw(work, lambda *_: None)
    return time.monotonic() - began - levels.priming_seconds


def remember(run: RunPaths, variant: Variant) -> Pace | None:
    """From the facts of clips of this run, wherever they were made; None where there are none.

    Args:
        variant: what they have to be made by; `Variant.auto`: whatever.
    """
    names = sorted(os.listdir(run.generated)) if run.generated.is_dir() else []
    paths = [run.generated / name for name in names if name.endswith(".json")]
    paces = [_of_clip(path, variant) for path in paths[-_MOST_REMEMBERED:]]
    known = [pace for pace in paces if pace is not None]
    return Pace(statistics.median(known), f"{len(known)} earlier clips of the run") if known else None


def _of_clip(path: Path, variant: Variant) -> float | None:
    try:
        facts = json.loads(path.read_bytes())
        if variant not in (Variant.auto, Variant(facts["variant"])):
            return None
        num_streams = -(-facts["num_streams"] // facts["threads"])
        return float(facts["num_streams"] / facts["samples_per_second"] / (num_streams + _OF_ITS_OWN))
    except (OSError, ValueError, LookupError, TypeError, ZeroDivisionError):
        return None
