"""Write title, artist, genre and year into audio files, in the forms found in real collections."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path

from mutagen.flac import FLAC
from mutagen.id3 import ID3, TCON, TDRC, TIT2, TPE1, ID3v1SaveOptions
from mutagen.mp4 import MP4
from mutagen.oggvorbis import OggVorbis


class TagForm(enum.Enum):
    """How a file carries its tags."""

    id3v1 = "id3v1"
    """128 bytes at the file's end: the genre is a number, the year four characters."""
    id3v23 = "id3v2.3"
    id3v24 = "id3v2.4"
    vorbis = "vorbis comments"
    mp4 = "mp4 atoms"


@dataclass(frozen=True)
class Tags:
    """What a file says about itself; nothing is written for an empty genre or date."""

    title: str
    artist: str
    genres: tuple[str, ...]
    date: str


def write_tags(path: Path, form: TagForm, tags: Tags) -> None:
    """Add ``tags`` to the file at ``path``, whose format must be one that carries ``form``."""
    if form is TagForm.vorbis:
        _write_vorbis(path, tags)
    elif form is TagForm.mp4:
        _write_mp4(path, tags)
    else:
        _write_id3(path, form, tags)


def _write_id3(path: Path, form: TagForm, tags: Tags) -> None:
    frames = ID3()
    frames.add(TIT2(encoding=1, text=[tags.title]))
    frames.add(TPE1(encoding=1, text=[tags.artist]))
    if tags.genres:
        frames.add(TCON(encoding=1, text=list(tags.genres)))
    if tags.date:
        frames.add(TDRC(encoding=1, text=[tags.date]))
    if form is TagForm.id3v24:
        frames.save(path)
        return
    frames.update_to_v23()
    if form is TagForm.id3v23:
        frames.save(path, v2_version=3)
        return
    frames.save(path, v1=ID3v1SaveOptions.CREATE, v2_version=3)
    ID3(path).delete(path, delete_v1=False, delete_v2=True)


def _write_vorbis(path: Path, tags: Tags) -> None:
    file = FLAC(path) if path.suffix == ".flac" else OggVorbis(path)
    _set(file, tags, title="title", artist="artist", genre="genre", date="date")
    file.save()


def _write_mp4(path: Path, tags: Tags) -> None:
    file = MP4(path)
    _set(file, tags, title="\xa9nam", artist="\xa9ART", genre="\xa9gen", date="\xa9day")
    file.save()


def _set(file: FLAC | OggVorbis | MP4, tags: Tags, *, title: str, artist: str, genre: str, date: str) -> None:
    file[title], file[artist] = [tags.title], [tags.artist]
    if tags.genres:
        file[genre] = list(tags.genres)
    if tags.date:
        file[date] = [tags.date]
