"""Decode through pydub and ffmpeg what libsndfile cannot read: M4A, WMA, and MP3 without a proper header."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray

from wavenet.audio.headers import UNREADABLE
from wavenet.audio.names import display, printable
from wavenet.durable import storage_errors
from wavenet.errors import RecordingError

with warnings.catch_warnings():
    # It looks for ffmpeg before it can be told where it is, and its regular expressions are of an older Python.
    warnings.simplefilter("ignore")
    from pydub import AudioSegment
    from pydub.exceptions import CouldntDecodeError


def decode(path: Path, stop_seconds: float | None) -> tuple[NDArray[np.float32], int]:
    """Return samples (T, channels) in [-1, 1) up to ``stop_seconds``, and their rate in Hz.

    Raises:
        RecordingError: ffmpeg cannot decode the file.
        StorageError: there is no room for the temporary copy that pydub makes.
    """
    AudioSegment.converter = shutil.which("ffmpeg") or imageio_ffmpeg.get_ffmpeg_exe()
    try:
        with storage_errors(tempfile.gettempdir()):
            # Neither from_file, which asks for an ffprobe that the packaged ffmpeg does not bring, nor an open file,
            # of which an M4A decodes to nothing without an error.
            segment = AudioSegment.from_file_using_temporary_files(str(path), duration=stop_seconds)
    except (OSError, ValueError, LookupError, CouldntDecodeError) as error:
        reason = _last_line(error)
        raise RecordingError(f"{display(path)} is {UNREADABLE}: {reason}", UNREADABLE, reason) from error
    samples = np.asarray(segment.get_array_of_samples(), np.float32) / np.float32(1 << (8 * segment.sample_width - 1))
    return samples.reshape(-1, segment.channels), segment.frame_rate


def _last_line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return printable(lines[-1].strip()) if lines else type(error).__name__
