"""Make the clips of a plan: batches of streams of one checkpoint, then WAV, MP3 and the JSON that completes each."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wavenet.audio import mulaw
from wavenet.checkpoint.store import list_committed
from wavenet.errors import InputError, MismatchError
from wavenet.generation.clip_files import Making, write_clip
from wavenet.generation.engines import Drawn, Engine, Work, open_engine
from wavenet.generation.requests import ClipRequest, Excerpt
from wavenet.generation.streams import StreamRequest
from wavenet.generation.variants import choose
from wavenet.progress import Progress, silent
from wavenet.run_paths import RunPaths

if TYPE_CHECKING:
    from wavenet.shards.read import Dataset

SAVE_SECONDS = 30.0


def make_clips(
    run: RunPaths,
    requests: Sequence[ClipRequest],
    data: Path | None,
    progress: Progress = silent,
    *,
    threads: int = 1,
    save_seconds: float = SAVE_SECONDS,
) -> list[Path]:
    """Make those of ``requests`` that are not done; a file of the same name made for another request is replaced.

    Args:
        run: where checkpoint and clips are.
        requests: all of one checkpoint. Those that share length, weights and sampling run as one batch.
        data: folder of shards; needed for continuations only.
        progress: told (samples done, samples in all).
        threads: of the native kernel; torch's are the caller's affair.
        save_seconds: how often clips in progress are kept; those of torch are not.

    Returns:
        The JSON file of every request, in their order.

    Raises:
        InputError: the checkpoint or an excerpt's recording is not there.
        MismatchError: the checkpoint is another one than the requests were made for, or of another architecture.
        UsageError: this machine cannot run the variant that the requests name.
        StorageError: the run folder cannot be written.
    """
    missing = [request for request in requests if not request.files(run).hold(request)]
    alike: dict[Any, list[ClipRequest]] = defaultdict(list)
    for request in missing:
        alike[request.weights, request.variant, request.num_samples, request.sampling].append(request)
    total = sum(request.num_samples for request in missing)
    done = 0
    for group in alike.values():
        checkpoint = _checkpoint(run, group[0])
        engine = open_engine(choose(group[0].variant), checkpoint, group[0].weights, threads, save_seconds)
        dataset = _dataset(data) if any(request.excerpt for request in group) else None
        for first in range(0, len(group), engine.most_streams):
            batch = group[first : first + engine.most_streams]
            _make_batch(run, engine, batch, dataset, _offset(progress, done, total))
            done += sum(request.num_samples for request in batch)
    return [request.files(run).json for request in requests]


def _offset(progress: Progress, before: int, total: int) -> Drawn:
    """Progress of one batch as a part of the whole."""
    return lambda drawn: progress(before + drawn, total)


def _dataset(data: Path | None) -> Dataset | None:
    # Only here: h5py takes a third of the time until a task's first sample.
    from wavenet.shards.index import open_dataset

    return None if data is None else open_dataset(data)


def _checkpoint(run: RunPaths, request: ClipRequest) -> Path:
    """The folder of the request's checkpoint."""
    committed = {checkpoint.step: checkpoint for checkpoint in list_committed(run)}
    checkpoint = committed.get(request.step)
    if checkpoint is None:
        valid = ", ".join(str(step) for step in committed) or "none"
        raise InputError(f"the run {run.name!r} has no checkpoint of step {request.step} any more; it has {valid}")
    if checkpoint.digest != request.checkpoint_digest:
        raise MismatchError(
            f"the checkpoint of step {request.step} of the run {run.name!r} is not the one that the clips were planned "
            f"for: its digest is {checkpoint.digest[:12]}…, planned was {request.checkpoint_digest[:12]}…; plan anew"
        )
    return checkpoint.path


def _make_batch(
    run: RunPaths, engine: Engine, requests: Sequence[ClipRequest], dataset: Dataset | None, drawn: Drawn
) -> None:
    started = time.monotonic()
    lead_ins = [_lead_in(dataset, request.excerpt, engine.config.receptive_field) for request in requests]
    streams = [
        StreamRequest(request.class_id, request.seed, request.stream, None if lead_in is None else lead_in.levels)
        for request, lead_in in zip(requests, lead_ins, strict=True)
    ]
    reading_seconds = time.monotonic() - started
    partial = [request.files(run).partial for request in requests]
    digests = [request.digest for request in requests]
    work = Work(streams, requests[0].num_samples, requests[0].sampling, partial, digests)
    levels = engine.draw(work, drawn)
    making = Making(
        variant=engine.variant,
        reading_seconds=reading_seconds + levels.priming_seconds,
        sampling_seconds=levels.sampling_seconds,
        num_streams=len(requests),
        num_samples=work.num_samples,
    )
    for request, lead_in, generated in zip(requests, lead_ins, levels.rows, strict=True):
        samples = mulaw.decode(generated)
        if lead_in is not None:
            samples = np.concatenate([lead_in.samples, samples])
        write_clip(run, request, samples, making)


@dataclass(frozen=True)
class _LeadIn:
    """What a continuation goes on from: ``samples`` for the file, ``levels`` (up to a receptive field) to prime with.

    The file's excerpt has been through the levels too: else the join could be heard as a change of noise.
    """

    samples: NDArray[np.float32]
    levels: NDArray[np.uint8]


def _lead_in(dataset: Dataset | None, excerpt: Excerpt | None, context: int) -> _LeadIn | None:
    if excerpt is None:
        return None
    clips = [] if dataset is None else dataset.validation
    for clip in clips:
        if (clip.recording_digest, clip.offset_seconds) == (excerpt.recording_digest, excerpt.clip_offset_seconds):
            break
    else:
        raise InputError(f"the data folder holds no held-out clip of {excerpt.source!r}, which a continuation needs")
    assert dataset is not None  # noqa: S101 - it gave the clip
    stop = excerpt.first_sample + excerpt.num_samples
    levels = mulaw.encode_int16(dataset.read(clip, max(0, min(excerpt.first_sample, stop - context)), stop))
    return _LeadIn(mulaw.decode(levels[-excerpt.num_samples :]), levels)
