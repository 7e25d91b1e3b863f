"""Look at every file of a folder of music and say what it is; nothing is skipped in silence."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Final

import soundfile

from wavenet.audio.headers import UNREADABLE, Header, read_header
from wavenet.audio.names import display, to_text
from wavenet.catalogue.recording import Catalogue, Recording
from wavenet.catalogue.tags import read_tags
from wavenet.catalogue.walk import Found, require_folder, walk
from wavenet.errors import InputError, RecordingError
from wavenet.progress import Progress, silent

NOT_AUDIO: Final = "not audio"
EMPTY: Final = "empty file"

AUDIO_SUFFIXES: Final = frozenset(
    f".{name}"
    for names in (
        "aac ac3 aif aifc aiff alac amr ape au caf dsf dts eac3 flac m4a m4b mka mp1 mp2 mp3 mp4 mpc",
        "oga ogg opus ra rf64 snd spx tta w64 wav wave webm wma wv",
    )
    for name in names.split()
)
"""Suffixes of files that were meant to be audio, whatever they hold."""


def scan(source: Path, progress: Progress = silent) -> Catalogue:
    """Look at every file below ``source``; ``progress`` counts files.

    A row whose ``reason`` is empty is a readable audio file; genre, year and class are not decided yet.

    Raises:
        InputError: ``source`` is not a folder, or holds no file at all.
    """
    require_folder(source)
    files = list(walk(source))
    if not files:
        raise InputError(f"source must hold music, found an empty folder at '{display(source)}'")
    recordings = []
    for number, file in enumerate(files, start=1):
        recordings.append(_look_at(source, file))
        progress(number, len(files))
    return Catalogue(source, tuple(recordings))


def digest_file(path: Path) -> str:
    """The sha256 of the content of ``path``, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _look_at(source: Path, found: Found) -> Recording:
    name = to_text(found.path.relative_to(source))
    if found.reason:
        return Recording(name, reason=found.reason, detail=found.detail)
    try:
        return _look_inside(name, found.path)
    except OSError as error:
        return Recording(name, reason=UNREADABLE, detail=error.strerror or type(error).__name__)


def _look_inside(name: str, path: Path) -> Recording:
    size = path.stat().st_size
    is_meant_as_audio = path.suffix.lower() in AUDIO_SUFFIXES
    if size == 0 and is_meant_as_audio:
        return Recording(name, reason=EMPTY)
    try:
        header = read_header(path)
    except RecordingError as error:
        if is_meant_as_audio:
            return Recording(name, size, reason=error.reason, detail=error.detail)
        return Recording(name, size, reason=NOT_AUDIO, detail=path.suffix)
    if header.tagged is None and not is_meant_as_audio:
        return Recording(name, size, reason=NOT_AUDIO, detail=path.suffix)
    genre_tags, year_tags = read_tags(path, header)
    return Recording(
        name,
        size,
        digest_file(path),
        round(header.seconds or _length_by_libsndfile(path, header), 3),
        genre_tags,
        year_tags,
    )


def _length_by_libsndfile(path: Path, header: Header) -> float:
    """Seconds of a file of which mutagen knows none; 0 where libsndfile does not know either."""
    if header.tagged is not None:
        return 0.0
    try:
        return float(soundfile.info(os.fsencode(path)).duration)
    except soundfile.LibsndfileError:
        return 0.0
