"""A clip's audio and the facts that complete it."""

from __future__ import annotations

import platform
import re
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wavenet import durable
from wavenet.audio import files
from wavenet.generation.config import Variant
from wavenet.generation.requests import FORMAT, ClipRequest
from wavenet.run_paths import RunPaths


@dataclass(frozen=True)
class Making:
    """How a batch was made: by what, and the seconds that the whole of it took."""

    variant: Variant
    reading_seconds: float
    sampling_seconds: float
    num_streams: int
    num_samples: int
    threads: int = 1
    start_up_seconds: float = 0.0
    """From the beginning of the process to its first sample."""
    start_up_processor_seconds: float = 0.0


def write_clip(
    run: RunPaths,
    request: ClipRequest,
    samples: NDArray[np.float32],
    mp3: bytes,
    making: Making,
    *,
    kept_samples: int = 0,
    encoding_seconds: float = 0.0,
) -> None:
    """WAV and MP3, then the JSON, unless the clip is there: a clip without JSON does not count.

    Args:
        mp3: ``samples``, encoded in so many seconds of processor time.
        kept_samples: how many an earlier start had drawn.

    Raises:
        StorageError: the run folder cannot be written.
    """
    paths = request.files(run)
    # A newer start of the same task may have been faster: what it wrote stays as it is, to the byte.
    if not paths.hold(request):
        paths.withdraw()
        files.encode_wav(paths.wav, samples, request.sample_rate_hz)
        durable.write_bytes(paths.mp3, mp3)
        taken = {
            "priming": making.reading_seconds / making.num_streams,
            "sampling": making.sampling_seconds / making.num_streams,
            "encoding": encoding_seconds,
        }
        facts = _facts(request, len(samples), making) | {"seconds_taken": taken, "kept_samples": kept_samples}
        durable.write_json(paths.json, facts)
    paths.forget_progress()


def _facts(request: ClipRequest, num_samples: int, making: Making) -> dict[str, Any]:
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
        "num_streams": making.num_streams,
        "samples_per_second": making.num_streams * making.num_samples / making.sampling_seconds,
        "variant": making.variant.value,
        "threads": making.threads,
        "start_up_seconds": making.start_up_seconds,
        "start_up_processor_seconds": making.start_up_processor_seconds,
        "peak_memory_bytes": _peak_memory_bytes(),
        "host": platform.node(),
        "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def _peak_memory_bytes() -> int | None:
    """Of this process so far. Not getrusage's: that begins with what the process was while a copy of its parent."""
    try:
        status = Path("/proc/self/status").read_text("utf-8")
        return 1024 * int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0])
    except (OSError, IndexError):
        return None
