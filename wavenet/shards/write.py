"""Write a worker's share of the planned shards; what is done is not done again, what is half done is never seen."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wavenet.audio.clips import ClipsConfig, Cut, cut
from wavenet.audio.files import decode
from wavenet.audio.names import display, from_text
from wavenet.catalogue.scan import digest_file
from wavenet.durable import storage_errors, write_bytes, write_json
from wavenet.errors import RecordingError
from wavenet.progress import Progress, silent
from wavenet.shards.layout import FORMAT, SAMPLE_DTYPE, ClipRow, DataPaths
from wavenet.shards.plan import Plan, PlannedRecording, read_plan
from wavenet.world import World

SILENT: Final = "silent"
CHANGED: Final = "changed since it was catalogued"
GONE: Final = "gone since it was catalogued"

_COLUMN_TYPES = {"int": np.int64, "bool": np.bool_, "float": np.float64}


@dataclass(frozen=True)
class Fault:
    """Why a recording of the plan, or a clip of it, is not in the shard; ``path`` as in the catalogue."""

    path: str
    reason: str
    detail: str


@dataclass(frozen=True)
class Sidecar:
    """What is known of a shard without opening it; ``request`` is that of the plan it was written for."""

    request: str
    bytes: int
    digest: str
    num_clips: int
    faults: tuple[Fault, ...]


def write_share(data: Path, world: World, progress: Progress = silent) -> None:
    """Write the shards i of the plan in ``data`` with i mod ``world.size`` = ``world.rank``.

    ``progress`` counts this share's recordings. A recording that cannot be used is noted in the shard's sidecar.

    Raises:
        InputError: the folder holds no plan.
        StorageError: the disk refused.
    """
    paths, plan = DataPaths(data), read_plan(data)
    numbers = world.share(len(plan.shards))
    total = sum(len(plan.shards[number].recordings) for number in numbers)
    done = 0
    progress(done, total)
    for number in numbers:
        if read_sidecar(paths, plan, number) is None:
            write_shard(paths, plan, number, _after(done, total, progress))
        done += len(plan.shards[number].recordings)
        progress(done, total)


def write_shard(paths: DataPaths, plan: Plan, number: int, progress: Progress = silent) -> Sidecar:
    """Write shard ``number`` and, after it, the sidecar that makes it count; ``progress`` counts its recordings."""
    # A sidecar for another request must not vouch for the shard that is about to appear.
    with storage_errors(paths.sidecar(number)):
        paths.sidecar(number).unlink(missing_ok=True)
    recordings = plan.shards[number].recordings
    clips: list[tuple[ClipRow, NDArray[np.int16]]] = []
    faults: list[Fault] = []
    start = 0
    for done, recording in enumerate(recordings, start=1):
        try:
            for piece in cut_recording(plan.source, recording, plan.clips):
                if piece.is_silent:
                    faults.append(Fault(recording.path, SILENT, f"clip at {piece.offset_seconds:g} s"))
                else:
                    clips.append((_row(recording, piece, start), piece.samples))
                    start += piece.samples.size
        except RecordingError as error:
            faults.append(Fault(recording.path, error.reason, error.detail))
        progress(done, len(recordings))
    digest = write_clips(paths.shard(number), clips, plan.clips.sample_rate_hz)
    size = paths.shard(number).stat().st_size
    sidecar = Sidecar(plan.shards[number].request, size, digest, len(clips), tuple(faults))
    write_json(paths.sidecar(number), {"format": FORMAT, "file": paths.shard_name(number), **asdict(sidecar)})
    return sidecar


def _after(before: int, total: int, progress: Progress) -> Progress:
    """A shard's progress as that of a share in which ``before`` of ``total`` recordings were done already."""
    return lambda done, _: progress(before + done, total)


def cut_recording(source: Path, recording: PlannedRecording, config: ClipsConfig) -> Iterator[Cut]:
    """Yield the clips of ``recording``.

    Raises:
        RecordingError: it cannot be decoded, is gone, or is no longer the one that was catalogued.
    """
    path = source / from_text(recording.path)
    try:
        found = digest_file(path)
    except OSError as error:
        raise RecordingError(f"'{display(path)}' is {GONE}", GONE, error.strerror or "") from error
    if found != recording.digest:
        raise RecordingError(f"'{display(path)}' is {CHANGED}", CHANGED)
    samples = decode(path, config.stop_seconds(recording.seconds), config.sample_rate_hz)
    yield from cut(samples, config, config.num_clips(recording.seconds))


def write_clips(path: Path, clips: list[tuple[ClipRow, NDArray[np.int16]]], sample_rate_hz: int) -> str:
    """Write the shard ``path`` in one step and return its digest."""
    import h5py

    types = {**_COLUMN_TYPES, "str": h5py.string_dtype("utf-8")}
    digest = hashlib.sha256()
    # In memory first: on a full disk HDF5 drops what it cannot write, and only complains on descriptor 2.
    image = io.BytesIO()
    with h5py.File(image, "w") as file:
        samples = file.create_dataset("samples", (sum(row.length for row, _ in clips),), SAMPLE_DTYPE)
        for row, piece in clips:
            samples[row.start : row.start + row.length] = piece
            digest.update(piece.astype(SAMPLE_DTYPE).tobytes())
        for row, _ in clips:
            digest.update(row.to_json_line().encode())
        for column in fields(ClipRow):
            values = [getattr(row, column.name) for row, _ in clips]
            file.create_dataset(f"clips/{column.name}", (len(clips),), types[str(column.type)], values)
        file.attrs.update({"format": FORMAT, "sample_rate_hz": sample_rate_hz, "digest": digest.hexdigest()})
    write_bytes(path, image.getvalue())
    return digest.hexdigest()


def read_sidecar(paths: DataPaths, plan: Plan, number: int) -> Sidecar | None:
    """The sidecar of shard ``number``; None where the shard has not been written whole for this plan."""
    try:
        facts = json.loads(paths.sidecar(number).read_text(encoding="utf-8"))
        faults = tuple(Fault(**fault) for fault in facts["faults"])
        sidecar = Sidecar(facts["request"], facts["bytes"], facts["digest"], facts["num_clips"], faults)
        is_whole = paths.shard(number).stat().st_size == sidecar.bytes
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return sidecar if is_whole and sidecar.request == plan.shards[number].request else None


def _row(recording: PlannedRecording, piece: Cut, start: int) -> ClipRow:
    return ClipRow(
        start=start,
        length=piece.samples.size,
        class_id=recording.class_id,
        offset_seconds=piece.offset_seconds,
        source=display(from_text(recording.path)),
        recording_digest=recording.digest,
        genre=recording.genre,
        year=recording.year,
    )
