"""Complete a data folder, and open a complete one."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence, Set
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from wavenet.audio.names import display
from wavenet.catalogue.genres import ClassOfMusic
from wavenet.catalogue.recording import Recording, read_catalogue, write_catalogue
from wavenet.catalogue.split import held_out
from wavenet.durable import storage_errors, write_json
from wavenet.errors import InputError
from wavenet.shards.layout import FORMAT, ClassFacts, Clip, ClipRow, DataPaths
from wavenet.shards.plan import Plan, nothing_taken, read_plan
from wavenet.shards.read import Dataset, DatasetFacts, open_shard
from wavenet.shards.write import Fault, Sidecar, read_sidecar

__all__ = [
    "ClassFacts",
    "Clip",
    "Dataset",
    "DatasetFacts",
    "build_index",
    "describe_dataset",
    "is_prepared",
    "open_dataset",
    "read_facts",
]


def build_index(data: Path) -> dict[str, Any]:
    """Gather what the workers wrote in the folder ``data``; write ``catalogue.jsonl`` and, last, ``index.json``.

    Returns:
        The content of ``index.json``.

    Raises:
        InputError: a shard of the plan is not written yet, or no recording could be used.
        StorageError: the disk refused.
    """
    paths, plan = DataPaths(data), read_plan(data)
    sidecars = _sidecars(paths, plan)
    rows = [row for number in range(len(sidecars)) for row in open_shard(paths.shard(number)).rows]
    faults = [fault for sidecar in sidecars for fault in sidecar.faults]
    classes = {row.recording_digest: row.class_id for row in rows}
    validation = held_out(classes, plan.split)
    recordings = _with_faults(read_catalogue(paths.catalogue), faults, classes.keys())
    recordings = [replace(one, is_validation=one.is_taken and one.digest in validation) for one in recordings]
    write_catalogue(paths.catalogue, recordings)
    if not rows:
        raise InputError(nothing_taken(plan.source, paths, recordings))
    _remove_leftovers(paths, len(plan.shards))
    facts = _facts(paths, plan, sidecars, rows, recordings)
    write_json(paths.index, facts)
    return facts


def describe_dataset(folder: Path) -> DatasetFacts:
    """What the data folder ``folder`` holds, by its index alone; no shard is opened.

    Raises:
        InputError: it is not prepared, of another format, or a shard is missing or cut short.
    """
    facts = read_facts(folder)
    for entry in facts["shards"]:
        _check_size(folder / entry["file"], entry["bytes"])
    return DatasetFacts(facts)


def open_dataset(folder: Path) -> Dataset:
    """Open the data folder ``folder``.

    Raises:
        InputError: it is not prepared, of another format, or a shard is missing, cut short or another one.
    """
    paths, facts = DataPaths(folder), read_facts(folder)
    shards = []
    for entry in facts["shards"]:
        _check_size(paths.root / entry["file"], entry["bytes"])
        shard = open_shard(paths.root / entry["file"])
        if shard.digest != entry["digest"]:
            raise InputError(
                f"'{display(shard.path)}' must be the shard that index.json names, but its digest differs; "
                f"run prepare again"
            )
        shards.append(shard)
    return Dataset(facts, tuple(shards))


def read_facts(folder: Path) -> dict[str, Any]:
    """Read ``index.json`` of the data folder ``folder`` and nothing else.

    Raises:
        InputError: the folder is not prepared, or of another format.
    """
    path = DataPaths(folder).index
    try:
        facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        found = facts["format"]
    except FileNotFoundError as error:
        raise InputError(
            f"data must be a folder that prepare has completed, found no index.json in '{display(folder)}'; "
            f"run prepare with data={display(folder)}"
        ) from error
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InputError(
            f"'{display(path)}' must be a whole index written by prepare, found {error!r}; run prepare again"
        ) from error
    if found != FORMAT:
        raise InputError(f"'{display(path)}' must have format {FORMAT}, found {found}; run prepare again")
    return facts


def is_prepared(data: Path, request: str) -> bool:
    """Whether the folder ``data`` is complete for the plan whose digest is ``request``."""
    try:
        return bool(describe_dataset(data).facts()["request"] == request)
    except InputError:
        return False


def _check_size(path: Path, expected_bytes: int) -> None:
    """A shard that is shorter than its map would end the process at the first read beyond its end."""
    try:
        found = path.stat().st_size
    except OSError as error:
        raise InputError(f"'{display(path)}' must be a shard, but it is missing; run prepare again") from error
    if found != expected_bytes:
        raise InputError(
            f"'{display(path)}' must have {expected_bytes} bytes, found {found}; run prepare again to write it anew"
        )


def _sidecars(paths: DataPaths, plan: Plan) -> list[Sidecar]:
    sidecars = [read_sidecar(paths, plan, number) for number in range(len(plan.shards))]
    missing = [paths.shard_name(number) for number, sidecar in enumerate(sidecars) if sidecar is None]
    if missing:
        raise InputError(
            f"'{display(paths.root)}' must hold all {len(sidecars)} planned shards, "
            f"but {len(missing)} are not written, {missing[0]} first; run prepare again"
        )
    return [sidecar for sidecar in sidecars if sidecar is not None]


def _with_faults(recordings: Sequence[Recording], faults: Iterable[Fault], used: Set[str]) -> list[Recording]:
    """``recordings`` with what the workers found: not taken, unless other clips of the recording are in ``used``."""
    by_path: dict[str, list[Fault]] = defaultdict(list)
    for fault in faults:
        by_path[fault.path].append(fault)
    return [
        _with_fault(one, by_path[one.path], one.digest in used) if one.path in by_path else one for one in recordings
    ]


def _with_fault(recording: Recording, faults: Sequence[Fault], is_used: bool) -> Recording:
    details = "; ".join(fault.detail for fault in faults if fault.detail)
    if is_used:
        return replace(recording, detail=f"{faults[0].reason}: {details}")
    return replace(recording, class_id=-1, reason=faults[0].reason, detail=details)


def _remove_leftovers(paths: DataPaths, num_shards: int) -> None:
    """Remove shards of a former plan, and what killed workers left: all of this plan's shards have their names."""
    kept = {path for number in range(num_shards) for path in (paths.shard(number), paths.sidecar(number))}
    former = set(paths.shards.glob("shard-*")) - kept
    half_written = [*paths.shards.glob(".shard-*.tmp.*"), *paths.root.glob(".[cpi]*.tmp.json*")]
    for path in (*former, *half_written):
        with storage_errors(path):
            path.unlink(missing_ok=True)


def _facts(
    paths: DataPaths, plan: Plan, sidecars: Sequence[Sidecar], rows: Sequence[ClipRow], recordings: Sequence[Recording]
) -> dict[str, Any]:
    not_taken = Counter(one.reason for one in recordings if not one.is_taken)
    validation = {one.digest for one in recordings if one.is_validation}
    return {
        "format": FORMAT,
        "request": plan.request,
        "digest": _digest(plan, sidecars, validation),
        "sample_rate_hz": plan.clips.sample_rate_hz,
        "classes": [asdict(one) for one in _class_facts(plan, rows, validation)],
        "missing_genres": list(plan.missing_genres),
        "validation": sorted(validation),
        "shards": [
            {"file": paths.shard_name(number), "bytes": one.bytes, "digest": one.digest, "num_clips": one.num_clips}
            for number, one in enumerate(sidecars)
        ],
        "not_taken": [{"reason": reason, "count": count} for reason, count in not_taken.most_common()],
        "num_recordings_found": len(recordings),
        "num_recordings_taken": sum(one.is_taken for one in recordings),
    }


def _digest(plan: Plan, sidecars: Iterable[Sidecar], validation: Set[str]) -> str:
    classes = [asdict(music) for music in plan.classes]
    shards = sorted(sidecar.digest for sidecar in sidecars)
    facts = [shards, classes, sorted(validation), plan.clips.sample_rate_hz]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _class_facts(plan: Plan, rows: Iterable[ClipRow], validation: Set[str]) -> list[ClassFacts]:
    by_class: dict[int, list[ClipRow]] = defaultdict(list)
    for row in rows:
        by_class[row.class_id].append(row)
    return [_facts_of_class(music, by_class[music.id], plan.clips.sample_rate_hz, validation) for music in plan.classes]


def _facts_of_class(
    music: ClassOfMusic, rows: Sequence[ClipRow], sample_rate_hz: int, validation: Set[str]
) -> ClassFacts:
    held_out_samples = sum(row.length for row in rows if row.recording_digest in validation)
    all_samples = sum(row.length for row in rows)
    return ClassFacts(
        id=music.id,
        name=music.name,
        genre=music.genre,
        year=music.year,
        num_recordings=len({row.recording_digest for row in rows}),
        num_clips=len(rows),
        train_hours=(all_samples - held_out_samples) / sample_rate_hz / 3600,
        validation_hours=held_out_samples / sample_rate_hz / 3600,
    )
