"""Make the clips of a plan: one batch of streams per checkpoint, then WAV, MP3 and the JSON that completes each."""

from __future__ import annotations

import platform
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wavenet import durable
from wavenet.audio import files, mulaw
from wavenet.checkpoint.store import list_committed
from wavenet.errors import InputError, MismatchError
from wavenet.generation.generate import generate_levels
from wavenet.generation.requests import FORMAT, ClipRequest, Excerpt
from wavenet.generation.restore import restore
from wavenet.generation.streams import StreamRequest
from wavenet.model.network import WaveNet
from wavenet.progress import Progress, silent
from wavenet.run_paths import RunPaths
from wavenet.shards.index import open_dataset
from wavenet.shards.read import Dataset

VARIANT = "torch"
"""Which implementation drew the levels: others differ in the last bits of their logits."""


def make_clips(
    run: RunPaths, requests: Sequence[ClipRequest], data: Path | None, progress: Progress = silent
) -> list[Path]:
    """Make those of ``requests`` that are not done; a file of the same name made for another request is replaced.

    Args:
        run: where checkpoint and clips are.
        requests: all of one checkpoint. Those that share length, weights and sampling run as one batch.
        data: folder of shards; needed for continuations only.
        progress: told (samples done, samples in all).

    Returns:
        The JSON file of every request, in their order.

    Raises:
        InputError: the checkpoint or an excerpt's recording is not there.
        MismatchError: the checkpoint is another one than the requests were made for, or of another architecture.
        StorageError: the run folder cannot be written.
    """
    missing = [request for request in requests if not request.files(run).hold(request)]
    batches: dict[Any, list[ClipRequest]] = defaultdict(list)
    for request in missing:
        batches[request.weights, request.num_samples, request.sampling].append(request)
    total = sum(request.num_samples for request in missing)
    done = 0
    for batch in batches.values():
        model = _restore(run, batch[0])
        dataset = open_dataset(data) if data is not None and any(request.excerpt for request in batch) else None
        _make_batch(run, model, batch, dataset, _offset(progress, done, total, len(batch)))
        done += sum(request.num_samples for request in batch)
    return [request.files(run).json for request in requests]


def _offset(progress: Progress, before: int, total: int, num_streams: int) -> Progress:
    """Progress of one batch, whose unit is a sample of each stream, as a part of the whole."""
    return lambda done, _: progress(before + done * num_streams, total)


def _restore(run: RunPaths, request: ClipRequest) -> WaveNet:
    """The network of the request's checkpoint."""
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
    return restore(checkpoint.path, request.weights)[0]


@dataclass(frozen=True)
class _Timing:
    """Seconds that a whole batch took."""

    reading: float
    sampling: float
    num_streams: int
    num_samples: int


def _make_batch(
    run: RunPaths, model: WaveNet, requests: Sequence[ClipRequest], dataset: Dataset | None, progress: Progress
) -> None:
    started = time.monotonic()
    context = model.config.receptive_field
    lead_ins = [_lead_in(dataset, request.excerpt, context) for request in requests]
    streams = [
        StreamRequest(request.class_id, request.seed, request.stream, None if lead_in is None else lead_in.levels)
        for request, lead_in in zip(requests, lead_ins, strict=True)
    ]
    read = time.monotonic()
    levels = generate_levels(model, streams, requests[0].num_samples, requests[0].sampling, progress)
    timing = _Timing(read - started, time.monotonic() - read, len(requests), requests[0].num_samples)
    for request, lead_in, generated in zip(requests, lead_ins, levels, strict=True):
        samples = mulaw.decode(generated)
        if lead_in is not None:
            samples = np.concatenate([lead_in.samples, samples])
        _write(run, request, samples, timing)


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


def _write(run: RunPaths, request: ClipRequest, samples: NDArray[np.float32], timing: _Timing) -> None:
    """WAV and MP3, then the JSON: a clip without JSON does not count."""
    paths = request.files(run)
    started = time.monotonic()
    paths.withdraw()
    files.encode_wav(paths.wav, samples, request.sample_rate_hz)
    files.encode_mp3(paths.mp3, samples, request.sample_rate_hz)
    durable.write_json(paths.json, _facts(request, len(samples), timing, time.monotonic() - started))


def _facts(request: ClipRequest, num_samples: int, timing: _Timing, encoding_seconds: float) -> dict[str, Any]:
    """How the clip was made. Times are the clip's share of its batch; the speed is the whole batch's."""
    paths = request.files(RunPaths(Path()))
    return {
        "format": FORMAT,
        "request": request.digest,
        "class_id": request.class_id or 0,
        "class_name": request.class_name,
        "step": request.step,
        "clip": request.clip,
        "priming": request.priming.value,
        "join_seconds": request.join_seconds,
        "source": None if request.excerpt is None else request.excerpt.source,
        "seconds": num_samples / request.sample_rate_hz,
        "generated_seconds": request.num_samples / request.sample_rate_hz,
        "sample_rate_hz": request.sample_rate_hz,
        "seed": request.seed,
        "stream": request.stream,
        "temperature": request.sampling.temperature,
        "top_k": request.sampling.top_k,
        "top_p": request.sampling.top_p,
        "weights": request.weights.value,
        "checkpoint_digest": request.checkpoint_digest,
        "excerpt": request.to_dict()["excerpt"],
        "wav": paths.wav.name,
        "mp3": paths.mp3.name,
        "seconds_taken": {
            "priming": timing.reading / timing.num_streams,
            "sampling": timing.sampling / timing.num_streams,
            "encoding": encoding_seconds,
        },
        "num_streams": timing.num_streams,
        "samples_per_second": timing.num_streams * timing.num_samples / timing.sampling,
        "variant": VARIANT,
        "host": platform.node(),
        "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
