"""Genre and year texts from tags of every form: ID3v1 and v2, Vorbis comments, MP4 atoms, APEv2, ASF, RIFF INFO."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import soundfile
from mutagen.apev2 import APEv2
from mutagen.id3 import TCON
from mutagen.mp3 import MP3

from wavenet.audio.headers import UNREADABLE, Header
from wavenet.audio.names import display, printable
from wavenet.errors import RecordingError

GENRE_KEYS: Final = ("tcon", "genre", "\xa9gen", "wm/genre", "wm/genreid")
YEAR_KEYS: Final = (
    "tdrc",
    "date",
    "\xa9day",
    "year",
    "wm/year",
    "tyer",
    "tdrl",
    "originaldate",
    "originalyear",
    "tdor",
)
"""Keys in lower case, the more telling first: a recording's date, then its release, then the work's first release."""

FIRST_YEAR: Final = 1500
LAST_YEAR: Final = 2100
"""Years outside are mistakes. Composers' tags hold the year of the work, so the range begins before the gramophone."""

_SEPARATORS = re.compile(r"[\0;,|]|\s/\s")
_YEARS = re.compile(r"(?<!\d)(\d{4})(?:\d{4})?(?!\d)")


def read_tags(path: Path, header: Header) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return genre texts and year texts of the file ``path`` whose ``header`` was read, each without doubles.

    Raises:
        RecordingError: the tags are broken.
    """
    try:
        tags = _mapping(getattr(header.tagged, "tags", None))
        if not tags.keys() & set(GENRE_KEYS):
            tags = {**_further_tags(path, header), **tags}
        return _distinct(_genre_names(_texts(tags, GENRE_KEYS))), _distinct(_texts(tags, YEAR_KEYS))
    except Exception as error:  # mutagen's values are converted on access, and broken ones raise what they like
        reason = f"its tags are broken: {printable(str(error))}"
        raise RecordingError(f"{display(path)} is {UNREADABLE}: {reason}", UNREADABLE, reason) from error


def year_of(texts: Iterable[str]) -> int:
    """The first year from `FIRST_YEAR` to `LAST_YEAR` in ``texts``: "1994", "1994-05-02", "19940502"; 0 for none."""
    candidates = (int(year) for text in texts for year in _YEARS.findall(text))
    return next((year for year in candidates if FIRST_YEAR <= year <= LAST_YEAR), 0)


def _mapping(tags: Any) -> dict[str, Any]:
    """Any kind of mutagen's tags by lower-case key. Iterating over Vorbis comments gives pairs."""
    keys = tags.keys() if tags else ()
    return {str(key).lower(): tags[key] for key in keys}


def _further_tags(path: Path, header: Header) -> dict[str, Any]:
    """Tags that mutagen does not look for: APEv2 at the end of an MP3, the INFO chunk of a WAV."""
    try:
        if isinstance(header.tagged, MP3):
            return _mapping(APEv2(os.fspath(path)))
        with soundfile.SoundFile(os.fsencode(path)) as file:
            return {key: [text] for key, text in file.copy_metadata().items()}
    except Exception:  # there are none, or they are broken: either way this file has no further tags
        return {}


def _texts(tags: dict[str, Any], keys: Iterable[str]) -> Iterator[str]:
    for key in keys:
        value = tags.get(key, ())
        value = getattr(value, "text", value)  # an ID3 frame
        for item in [value] if isinstance(value, str) else value:
            yield from str(item).split("\0")


def _genre_names(texts: Iterable[str]) -> Iterator[str]:
    """Names of ID3's numbers, ``17`` and ``(17)``, wherever they stand; one text may name several genres."""
    for name in TCON(encoding=3, text=list(texts)).genres:
        yield from _SEPARATORS.split(name)


def _distinct(texts: Iterable[str]) -> tuple[str, ...]:
    clean = (printable(text.strip()) for text in texts)
    return tuple(dict.fromkeys(text for text in clean if text))
