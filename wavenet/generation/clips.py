"""Make the clips of a plan in batches of streams of one checkpoint, each encoded and written while others are drawn."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wavenet.audio import mulaw
from wavenet.errors import InputError
from wavenet.generation.clip_files import Making
from wavenet.generation.config import GenerationConfig
from wavenet.generation.engines import Engine, Work, open_engine
from wavenet.generation.growing import GrowingClip, Writer
from wavenet.generation.requests import ClipRequest, Excerpt
from wavenet.generation.restore import checkpoint_of
from wavenet.generation.streams import StreamRequest
from wavenet.generation.variants import choose
from wavenet.progress import Progress, silent
from wavenet.run_paths import RunPaths

if TYPE_CHECKING:
    from wavenet.shards.read import Dataset


def make_clips(
    run: RunPaths,
    requests: Sequence[ClipRequest],
    data: Path | None,
    progress: Progress = silent,
    *,
    threads: int = 1,
    save_seconds: float = GenerationConfig.save_seconds,
    began: float | None = None,
) -> list[Path]:
    """Make those of ``requests`` that are not done; a file of the same name made for another request is replaced.

    Args:
        run: where checkpoint and clips are.
        requests: all of one checkpoint. Those that share length, weights and sampling run as one batch.
        data: folder of shards; needed for continuations only.
        progress: told (samples done, samples in all).
        threads: of the native kernel; torch's are the caller's affair.
        save_seconds: how often clips in progress are kept; those of torch are not.
        began: when this process did, by the monotonic clock; None: now.

    Returns:
        The JSON file of every request, in their order.

    Raises:
        InputError: the checkpoint or an excerpt's recording is not there.
        MismatchError: the checkpoint is another one than the requests were made for, or of another architecture.
        UsageError: this machine cannot run the variant that the requests name.
        StorageError: the run folder cannot be written.
    """
    began = time.monotonic() if began is None else began
    missing = [request for request in requests if not request.files(run).hold(request)]
    alike: dict[Any, list[ClipRequest]] = defaultdict(list)
    for request in missing:
        alike[request.weights, request.variant, request.num_samples, request.sampling].append(request)
    total = sum(request.num_samples for request in missing)
    done = 0
    with Writer() as writer:
        for group in alike.values():
            checkpoint = checkpoint_of(run, group[0])
            engine = open_engine(choose(group[0].variant), checkpoint, group[0].weights, threads, save_seconds)
            dataset = _dataset(data) if any(request.excerpt for request in group) else None
            maker = _Maker(run, engine, dataset, writer, threads, began)
            for first in range(0, len(group), engine.most_streams):
                batch = group[first : first + engine.most_streams]
                maker.make(batch, _offset(progress, done, total))
                done += sum(request.num_samples for request in batch)
        writer.wait()
    return [request.files(run).json for request in requests]


def _offset(progress: Progress, before: int, total: int) -> Callable[[int], None]:
    """Progress of one batch as a part of the whole."""
    return lambda drawn: progress(before + drawn, total)


def _dataset(data: Path | None) -> Dataset | None:
    # Only here: h5py takes a third of the time until a task's first sample.
    from wavenet.shards.index import open_dataset

    return None if data is None else open_dataset(data)


@dataclass(frozen=True)
class _Maker:
    """What the batches of one checkpoint have in common."""

    run: RunPaths
    engine: Engine
    dataset: Dataset | None
    writer: Writer
    threads: int
    began: float

    def make(self, requests: Sequence[ClipRequest], drawn: Callable[[int], None]) -> None:
        """Draw one batch; it is written while the next one is drawn."""
        started = time.monotonic()
        lead_ins = [_lead_in(self.dataset, each.excerpt, self.engine.config.receptive_field) for each in requests]
        streams = [
            StreamRequest(request.class_id, request.seed, request.stream, lead_in.levels)
            for request, lead_in in zip(requests, lead_ins, strict=True)
        ]
        clips = [
            GrowingClip(self.run, request, lead_in.samples) for request, lead_in in zip(requests, lead_ins, strict=True)
        ]
        partial = [request.files(self.run).partial for request in requests]
        digests = [request.digest for request in requests]
        work = Work(streams, requests[0].num_samples, requests[0].sampling, partial, digests)
        read, used = time.monotonic(), time.process_time()

        def told(count: int, rows: Sequence[NDArray[np.uint8]]) -> None:
            self.writer.follow(clips, rows)
            drawn(count)

        levels = self.engine.draw(work, told)
        making = Making(
            variant=self.engine.variant,
            reading_seconds=read - started + levels.priming_seconds,
            sampling_seconds=levels.sampling_seconds,
            num_streams=len(requests),
            num_samples=work.num_samples,
            threads=self.threads,
            start_up_seconds=read + levels.priming_seconds - self.began,
            start_up_processor_seconds=used,
        )
        self.writer.finish(clips, levels, making)


@dataclass(frozen=True)
class _LeadIn:
    """What a clip goes on from: ``samples`` for the file, ``levels`` (up to a receptive field) to prime with.

    The file's excerpt has been through the levels too: else the join could be heard as a change of noise.
    """

    samples: NDArray[np.float32]
    levels: NDArray[np.uint8] | None
    """None: silence."""


def _lead_in(dataset: Dataset | None, excerpt: Excerpt | None, context: int) -> _LeadIn:
    if excerpt is None:
        return _LeadIn(np.zeros(0, np.float32), None)
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
