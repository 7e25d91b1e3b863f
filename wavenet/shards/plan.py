"""Decide what every shard will hold, so that workers which know nothing of each other can write them."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from wavenet.audio.clips import ClipsConfig
from wavenet.audio.names import display, from_text, to_text
from wavenet.catalogue.genres import ClassOfMusic, GenresConfig
from wavenet.catalogue.recording import Recording, write_catalogue
from wavenet.catalogue.scan import scan
from wavenet.catalogue.selection import Selection, select
from wavenet.catalogue.split import SplitConfig
from wavenet.durable import make_folder, storage_errors, write_json
from wavenet.errors import InputError
from wavenet.progress import Progress, silent
from wavenet.shards.layout import FORMAT, DataPaths

SHARD_BYTES: Final = 128 << 20
"""Samples in a shard: a worker holds them in memory twice, and a thousand shards open in half a second."""

FEWEST_SHARDS: Final = 8
"""Also a small library is spread over some shards, so that several workers have something to do."""


@dataclass(frozen=True)
class PlannedRecording:
    """What a worker needs to know of a recording; fields as in `wavenet.catalogue.recording.Recording`."""

    path: str
    digest: str
    seconds: float
    genre: str
    year: int
    class_id: int


@dataclass(frozen=True)
class PlannedShard:
    """The recordings of one shard; ``request`` is the digest of everything that decides its content."""

    recordings: tuple[PlannedRecording, ...]
    request: str


@dataclass(frozen=True)
class Plan:
    """The content of ``plan.json``; ``request`` is the digest of everything that decides the shards and classes."""

    source: Path
    clips: ClipsConfig
    split: SplitConfig
    classes: tuple[ClassOfMusic, ...]
    missing_genres: tuple[str, ...]
    shards: tuple[PlannedShard, ...]

    @property
    def request(self) -> str:
        classes = [asdict(music) for music in self.classes]
        return _digest([FORMAT, classes, asdict(self.split), [shard.request for shard in self.shards]])

    @property
    def num_recordings(self) -> int:
        return sum(len(shard.recordings) for shard in self.shards)

    def to_dict(self) -> dict[str, Any]:
        return {"format": FORMAT, **asdict(self), "source": to_text(self.source), "request": self.request}

    @staticmethod
    def from_dict(facts: dict[str, Any]) -> Plan:
        return Plan(
            source=Path(from_text(facts["source"])),
            clips=ClipsConfig(**facts["clips"]),
            split=SplitConfig(**facts["split"]),
            classes=tuple(ClassOfMusic(**music) for music in facts["classes"]),
            missing_genres=tuple(facts["missing_genres"]),
            shards=tuple(
                PlannedShard(tuple(PlannedRecording(**one) for one in shard["recordings"]), shard["request"])
                for shard in facts["shards"]
            ),
        )


def make_plan(
    source: Path,
    data: Path,
    clips: ClipsConfig,
    genres: GenresConfig,
    split: SplitConfig,
    *,
    num_shards: int = 0,
    progress: Progress = silent,
) -> Plan:
    """Catalogue the folder ``source`` and plan the shards of the folder ``data`` (``num_shards`` 0: by their size).

    Writes ``catalogue.jsonl`` and ``plan.json``; ``progress`` counts files. A data folder that was made from the same
    source, or of which nothing changes, is planned anew; shards whose content stays are kept.

    Raises:
        InputError: ``source`` is no folder of music, no recording of it is taken, or ``data`` holds something else.
        StorageError: ``data`` cannot be written.
    """
    paths = DataPaths(data)
    former = _former_plan(paths)
    source = source.resolve()
    selection = select(scan(source, progress).recordings, clips, genres)
    shards = plan_shards(selection.taken, clips, num_shards)
    plan = Plan(source, clips, split, selection.classes, selection.missing_genres, shards)
    if former is not None and former.source != source and former.request != plan.request:
        raise InputError(
            f"data must be a folder of its own for each source, but '{display(data)}' was made from "
            f"'{display(former.source)}', not from '{display(source)}'; choose another folder or remove it"
        )
    _write(paths, plan, selection, is_changed=former is None or former.request != plan.request)
    return plan


def read_plan(data: Path) -> Plan:
    """Read the plan of the folder ``data``.

    Raises:
        InputError: there is none, or it is not of this program's format.
    """
    path = DataPaths(data).plan
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        if facts["format"] != FORMAT:
            raise ValueError(f"its format is {facts['format']}, not {FORMAT}")
        return Plan.from_dict(facts)
    except FileNotFoundError as error:
        raise InputError(
            f"data must be a folder that prepare has planned, found no plan in '{display(data)}'"
        ) from error
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InputError(
            f"'{display(path)}' must be a whole plan written by prepare, found {error!r}; remove the folder"
        ) from error


def plan_shards(taken: Sequence[Recording], clips: ClipsConfig, num_shards: int = 0) -> tuple[PlannedShard, ...]:
    """Deal the recordings ``taken`` to shards in turn, so that all are about equally large."""
    clip_bytes = 2 * clips.sample_rate_hz * clips.seconds
    total_bytes = sum(clips.num_clips(recording.seconds) for recording in taken) * clip_bytes
    number = min(num_shards or max(FEWEST_SHARDS, math.ceil(total_bytes / SHARD_BYTES)), len(taken))
    return tuple(_planned_shard(taken[first::number], clips) for first in range(number))


def _planned_shard(recordings: Iterable[Recording], clips: ClipsConfig) -> PlannedShard:
    planned = tuple(
        PlannedRecording(one.path, one.digest, one.seconds, one.genre, one.year, one.class_id) for one in recordings
    )
    return PlannedShard(planned, _digest([FORMAT, asdict(clips), [asdict(one) for one in planned]]))


def _former_plan(paths: DataPaths) -> Plan | None:
    """The plan that the data folder holds already.

    Raises:
        InputError: the folder holds files that prepare has not written.
    """
    if paths.plan.exists():
        return read_plan(paths.root)
    ours = {path.name for path in (paths.catalogue, paths.plan, paths.shards, paths.index, paths.jobs)}
    if paths.root.is_dir():
        foreign = [path for path in sorted(paths.root.iterdir()) if path.name not in ours and path.name[0] != "."]
        if foreign:
            raise InputError(
                f"data must be a new or empty folder or one made by prepare, "
                f"found '{display(foreign[0].name)}' in '{display(paths.root)}'"
            )
    return None


def _write(paths: DataPaths, plan: Plan, selection: Selection, is_changed: bool) -> None:
    make_folder(paths.root)
    if is_changed:
        # First of all: an index must never stand beside shards that it does not describe.
        with storage_errors(paths.index):
            paths.index.unlink(missing_ok=True)
    write_catalogue(paths.catalogue, selection.recordings)
    if not plan.shards:
        raise InputError(nothing_taken(plan.source, paths, selection.recordings))
    write_json(paths.plan, plan.to_dict())


def nothing_taken(source: Path, paths: DataPaths, recordings: Iterable[Recording]) -> str:
    """The sentence that says why no recording was taken."""
    counts = Counter(recording.reason for recording in recordings)
    reasons = ", ".join(f"{count} × {reason}" for reason, count in counts.most_common())
    return (
        f"source must hold a recording that can be taken, found none in '{display(source)}': {reasons}; "
        f"'{display(paths.catalogue)}' lists every file"
    )


def _digest(facts: Any) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
