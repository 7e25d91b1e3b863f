"""What a file's header promises: its length, and which decoder reads it whole."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mutagen
from mutagen.mp3 import MP3, BitrateMode
from mutagen.ogg import OggFileType

from wavenet.audio import mpeg
from wavenet.audio.names import display, printable
from wavenet.errors import RecordingError

UNREADABLE = "not readable as audio"
CUT_SHORT = "cut short"

_OGG_PAGE = b"OggS"
_LARGEST_OGG_PAGE_BYTES = 27 + 255 + 255 * 255


@dataclass(frozen=True)
class Header:
    """``seconds`` of audio that the file promises (None: it does not say), and mutagen's view of it (None: no format
    that mutagen knows).
    """

    seconds: float | None
    needs_ffmpeg: bool
    tagged: Any


def read_header(path: Path) -> Header:
    """Read the header of ``path`` without decoding.

    Raises:
        RecordingError: the file's own structure is broken.
        OSError: the file cannot be opened or read.
    """
    tagged = _parse(path)
    if isinstance(tagged, MP3):
        return _mp3_header(path, tagged)
    if isinstance(tagged, OggFileType) and _ends_within_a_page(path):
        raise RecordingError(f"{display(path)} is cut short: its last page is incomplete", CUT_SHORT)
    seconds = getattr(getattr(tagged, "info", None), "length", None)
    return Header(seconds or None, needs_ffmpeg=False, tagged=tagged)


def _parse(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            return mutagen.File(file)
    except OSError:
        raise
    except Exception as error:  # mutagen meets a broken file with whatever its parser stumbles over
        reason = printable(str(error)) or type(error).__name__
        raise RecordingError(f"{display(path)} is {UNREADABLE}: {reason}", UNREADABLE, reason) from error


def _mp3_header(path: Path, tagged: MP3) -> Header:
    """The header of an MP3.

    Without a Xing header, libsndfile takes the first frame's bit rate for all and stops early, in silence; of a file
    shorter than its Xing header says it complains on descriptor 2. ffmpeg reads both, and keeps to itself.
    """
    info: Any = tagged.info
    if info.bitrate_mode == BitrateMode.UNKNOWN:
        return Header(mpeg.count_seconds(path) or None, needs_ffmpeg=True, tagged=tagged)
    promised_bytes = info.bitrate * info.length / 8
    return Header(info.length, needs_ffmpeg=path.stat().st_size < 0.99 * promised_bytes, tagged=tagged)


def _ends_within_a_page(path: Path) -> bool:
    """Whether an Ogg file breaks off. Ogg has no length in its header, so its last page is all there is to ask."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 2 * _LARGEST_OGG_PAGE_BYTES))
        tail = file.read()
    start = tail.rfind(_OGG_PAGE)
    page = tail[start:] if start >= 0 else b""
    if len(page) < 27 or len(page) < 27 + page[26]:
        return True
    return len(page) < 27 + page[26] + sum(page[27 : 27 + page[26]])
