"""Write a small music library as people have them: several formats, tags of every form, and files that are no use."""

from __future__ import annotations

import io
import itertools
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from wavenet.audio.names import display
from wavenet.durable import replacing, write_bytes
from wavenet.errors import StorageError
from wavenet.progress import Progress, silent
from wavenet.seeds import generator
from wavenet.synthetic.music import SAMPLE_RATE_HZ, compose
from wavenet.synthetic.tags import TagForm, Tags, write_tags

NUM_RECORDINGS = {"metal": 8, "hip": 8, "rock": 9, "classical": 7, "hardcore": 6}
"""Usable recordings of each genre; not as many of each, so that there is a distribution to look at."""

_WORKERS = 2

_GENRE_TEXTS: dict[str, tuple[tuple[str, ...], ...]] = {
    "metal": (("(9)",), ("Heavy Metal",), ("Metal",), ("Thrash Metal", "Live")),
    "hip": (("7",), ("Hip-Hop/Rap",), ("Hip-Hop",), ("hip hop",)),
    "rock": (("(17)",), ("Classic Rock",), ("Rock",), ("Rock", "Live")),
    "classical": (("32",), ("CLASSICAL",), ("Classical",), ("Classical", "Chamber Music")),
    "hardcore": (("Hardcore",), ("hardcore",), ("Post-Hardcore",), ("Hardcore Punk", "Live")),
}
"""Of these, recording n takes number n modulo 4."""

_ARTISTS = {
    "metal": "Iron Lattice",
    "hip": "MC Dilation",
    "rock": "The Residuals",
    "classical": "Mu-Law Quartet",
    "hardcore": "Gradient Clip 180",
}
_FIRST_WORDS = ("Causal", "Dilated", "Gated", "Northern", "Quiet", "Second", "Silver", "Skipped", "Sunday", "Wide")
_LAST_WORDS = ("Field", "Highway", "Letter", "Mountain", "Morning", "Receiver", "River", "Signal", "Street", "Winter")


@dataclass(frozen=True)
class _Format:
    """``codec`` is what ffmpeg shall encode with; empty: libsndfile writes ``suffix`` itself."""

    suffix: str
    codec: str
    sample_rate_hz: int
    channels: int
    tag_form: TagForm
    date: str


# Of these, recording n takes number n modulo 8: every genre comes in every file format. Number 6 needs a genre of
# ID3v1's list, in which there is no hardcore. No MP3 is stereo: LAME encodes the same stereo samples differently each
# time.
_FORMATS = (
    _Format(".mp3", "", 44_100, 1, TagForm.id3v23, "1994"),
    _Format(".flac", "", 44_100, 2, TagForm.vorbis, "2003-11"),
    _Format(".ogg", "libvorbis", 48_000, 1, TagForm.vorbis, "1987"),
    _Format(".m4a", "aac", 44_100, 2, TagForm.mp4, "2011-06-14T07:00:00Z"),
    _Format(".mp3", "", 32_000, 1, TagForm.id3v24, "1994-05-02"),
    _Format(".flac", "", 16_000, 1, TagForm.vorbis, "1969"),
    _Format(".mp3", "", 16_000, 1, TagForm.id3v1, "1999"),
    _Format(".m4a", "aac", 32_000, 1, TagForm.mp4, "2020"),
)


@dataclass(frozen=True)
class _Entry:
    """One file to write: the music in it, its format and its tags. ``kept_share`` below 1 breaks the file off."""

    folder: str
    name: str
    genre: str
    number: int
    seconds: float
    format: _Format
    tags: Tags
    kept_share: float = 1.0

    @property
    def path(self) -> Path:
        return Path(self.folder) / f"{self.name}{self.format.suffix}"


def write_library(
    folder: Path, seed: int = 0, progress: Progress = silent, *, seconds: float = 12.0, recordings_share: float = 1.0
) -> None:
    """Write the library into ``folder``; a file that is there already is not written again.

    Args:
        seed: decides the music; names, formats and tags are always the same.
        progress: told of files.
        seconds: usable recordings last 1 to 3 seconds longer than this.
        recordings_share: how many of each genre's `NUM_RECORDINGS` are written, at least one.

    Besides the usable recordings there are some for every reason not to take one: no genre, no year, a genre of
    another kind, too short, broken off, empty, no audio at all. The same arguments give the same bytes, whatever the
    machine's clock says.
    """
    usable = list(_usable(seed, seconds, recordings_share))
    entries = usable + list(_flawed(usable[0], seconds))
    blobs = {"Various/cover.mp3": b"This is not audio, whatever its name says.\n", "Various/empty.flac": b""}
    total = len(entries) + len(blobs)
    progress(0, total)
    # Threads suffice: numpy, libsndfile and the wait for ffmpeg all let go of the interpreter.
    with ThreadPoolExecutor(_WORKERS) as pool:
        for done, _ in enumerate(pool.map(lambda entry: _write(folder / entry.path, entry, seed), entries), start=1):
            progress(done, total)
    for name, content in blobs.items():
        if not (folder / name).exists():
            write_bytes(folder / name, content)
    progress(total, total)


def _usable(seed: int, seconds: float, share: float) -> Iterator[_Entry]:
    for genre, count in NUM_RECORDINGS.items():
        rng = generator(seed, f"synthetic/{genre}/lengths")
        titles = itertools.product(_LAST_WORDS, _FIRST_WORDS)
        for number in range(max(1, round(count * share))):
            last, first = next(titles)
            form = _FORMATS[number % len(_FORMATS)]
            texts = _GENRE_TEXTS[genre]
            tags = Tags(f"{first} {last}", _ARTISTS[genre], texts[number % len(texts)], form.date)
            name = f"{number + 1:02d} {tags.title}"
            yield _curious(_Entry(_ARTISTS[genre], name, genre, number, seconds + rng.uniform(1, 3), form, tags))


def _curious(entry: _Entry) -> _Entry:
    """Give some recordings the names and titles on which careless programs break."""
    names = {
        ("rock", 0): '01 Don\'t "Stop" – Café del Mar',
        ("classical", 1): "02 第二楽章 & Rondo",
        ("hip", 2): "03 100% $HOME; echo",
    }
    titles = {("metal", 1): '<b>Bold</b> & <script>alert("title")</script>'}
    key = (entry.genre, entry.number)
    title = titles.get(key, entry.tags.title)
    return replace(entry, name=names.get(key, entry.name), tags=replace(entry.tags, title=title))


def _flawed(model: _Entry, seconds: float) -> Iterator[_Entry]:
    """Recordings like ``model``, each with one flaw that keeps it out; numbers from 100 on, so that none is a copy."""
    mp3, flac, ogg, m4a = _FORMATS[:4]
    whole, short = seconds + 2, 0.3 * seconds
    tags = replace(model.tags, genres=("Rock",), date="1994", artist="Various")
    flawed = (
        ("Without a genre", "rock", whole, flac, replace(tags, genres=()), 1.0),
        ("Without a year", "metal", whole, mp3, replace(tags, date=""), 1.0),
        ("Year unknown", "metal", whole, m4a, replace(tags, date="n.d."), 1.0),
        ("Cool Jazz", "classical", whole, ogg, replace(tags, genres=("Jazz",)), 1.0),
        ("Polka", "classical", whole, m4a, replace(tags, genres=('<i>Polka</i><script>alert("genre")</script>',)), 1.0),
        ("Jingle", "hip", short, ogg, replace(tags, genres=("Hip-Hop",)), 1.0),
        ("Sketch", "hardcore", short, mp3, replace(tags, genres=("Hardcore",)), 1.0),
        ("Lost connection", "rock", whole, mp3, tags, 0.3),
        ("Lost connection again", "rock", whole, flac, tags, 0.3),
    )
    for number, (title, genre, length, form, own_tags, kept) in enumerate(flawed, start=100):
        yield _Entry("Various", title, genre, number, length, form, replace(own_tags, title=title), kept)


def _write(path: Path, entry: _Entry, seed: int) -> None:
    if path.exists():
        return
    mono = compose(entry.genre, entry.number, seed=seed, seconds=entry.seconds)
    mono = soxr.resample(mono, SAMPLE_RATE_HZ, entry.format.sample_rate_hz)
    channels = _spread(mono) if entry.format.channels == 2 else mono[:, None]
    with replacing(path) as temporary:
        _encode(temporary, channels, entry.format)
        write_tags(temporary, entry.format.tag_form, entry.tags)
        if entry.kept_share < 1:
            content = temporary.read_bytes()
            temporary.write_bytes(content[: int(len(content) * entry.kept_share)])


def _spread(mono: NDArray[np.float32]) -> NDArray[np.float32]:
    """Two channels (T, 2), one a little louder; their mean is ``mono`` again."""
    return np.stack([mono * np.float32(1.05), mono * np.float32(0.95)], axis=1)


def _encode(path: Path, samples: NDArray[np.float32], form: _Format) -> None:
    pcm = np.clip(np.rint(samples * 32767), -32768, 32767).astype(np.int16)
    if form.codec:
        _encode_by_ffmpeg(path, pcm, form)
        return
    # In memory, because a full disk under libsndfile is an assertion, not an error with a number.
    file = io.BytesIO()
    if form.suffix == ".mp3":
        # Of a variable bit rate's frames, a few are such that mpg123 complains of them on descriptor 2.
        options = {"format": "MP3", "bitrate_mode": "CONSTANT", "compression_level": 0.5}
    else:
        options = {"format": "FLAC", "subtype": "PCM_16"}
    soundfile.write(file, pcm, form.sample_rate_hz, **options)
    path.write_bytes(file.getvalue())


def _encode_by_ffmpeg(path: Path, pcm: NDArray[np.int16], form: _Format) -> None:
    """Encode what libsndfile cannot (AAC), or not twice alike (its Ogg streams carry a random number)."""
    source = ["-f", "s16le", "-ar", str(form.sample_rate_hz), "-ac", str(form.channels), "-i", "pipe:0"]
    sink = ["-c:a", form.codec, "-fflags", "+bitexact", "-flags:a", "+bitexact", "-y", f"file:{path}"]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *source, *sink]
    done = subprocess.run(command, input=pcm.tobytes(), check=False, capture_output=True)
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise StorageError(f"ffmpeg could not write {display(path)!r}: {' '.join(reason) or done.returncode}")
