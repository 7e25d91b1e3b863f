"""The contract of a data folder: which file holds what.

::

    <data>/catalogue.jsonl        every file found in the source folder: taken, or not and why
    <data>/plan.json              which recording's clips go into which shard
    <data>/shards/shard-00000.h5  clips, one after the other; never changed once it has its name
    <data>/shards/shard-00000.json  its sidecar: digest and recordings that could not be used; marks it complete
    <data>/index.json             classes, shards, split and digest; written last, so it marks the folder complete
    <data>/jobs/                  logs of the tasks that wrote it, and their submission scripts

A shard holds the dataset ``samples``, (num_samples,) 16-bit little-endian, contiguous and uncompressed so that it can
be mapped into memory, and the group ``clips`` with one column for each field of `ClipRow`. Attributes: ``format``,
``sample_rate_hz`` and ``digest``, the sha256 of the samples followed by the clips' rows as JSON lines. Which recordings
are held out stands in the index alone: it is decided when all are known that could be decoded, and a shard holds
content, not decisions.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

FORMAT: Final = 1
SAMPLE_DTYPE: Final = "<i2"


@dataclass(frozen=True)
class DataPaths:
    """Paths of the data folder ``root``. Nothing is created by looking."""

    root: Path

    @property
    def name(self) -> str:
        return self.root.name

    @property
    def jobs(self) -> Path:
        return self.root / "jobs"

    @property
    def catalogue(self) -> Path:
        return self.root / "catalogue.jsonl"

    @property
    def plan(self) -> Path:
        return self.root / "plan.json"

    @property
    def shards(self) -> Path:
        return self.root / "shards"

    @property
    def index(self) -> Path:
        return self.root / "index.json"

    def shard(self, number: int) -> Path:
        return self.shards / f"shard-{number:05d}.h5"

    def sidecar(self, number: int) -> Path:
        return self.shards / f"shard-{number:05d}.json"

    def shard_name(self, number: int) -> str:
        """The shard's name in the index, relative to the data folder."""
        return self.shard(number).relative_to(self.root).as_posix()


@dataclass(frozen=True)
class ClipRow:
    """One clip in a shard's table.

    Attributes:
        start, length: its samples are ``samples[start : start + length]``.
        class_id: value of the global condition.
        offset_seconds: where in the recording it begins.
        source: the recording's path below the source folder, for reading.
        recording_digest: sha256 of the recording's file.
        genre, year: what made the class; 0 for an unknown year.
    """

    start: int
    length: int
    class_id: int
    offset_seconds: float
    source: str
    recording_digest: str
    genre: str
    year: int

    def to_json_line(self) -> str:
        """The row as it enters the shard's digest."""
        return json.dumps(asdict(self), sort_keys=True) + "\n"


@dataclass(frozen=True)
class Clip:
    """A clip that can be read with `wavenet.shards.read.Dataset.read`; fields as in `ClipRow`."""

    shard: int
    start: int
    length: int
    class_id: int
    source: str
    recording_digest: str
    offset_seconds: float


@dataclass(frozen=True)
class ClassFacts:
    """A class and how much there is of it; ``year`` is None where classes are genres alone."""

    id: int
    name: str
    genre: str
    year: int | None
    num_recordings: int
    num_clips: int
    train_hours: float
    validation_hours: float
