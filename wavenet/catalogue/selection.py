"""Decide for every recording of a catalogue whether it is taken, and as what class."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from wavenet.audio.clips import ClipsConfig
from wavenet.catalogue.genre_table import GenreTable, words_of
from wavenet.catalogue.genres import ClassOfMusic, GenresConfig, genres_in, make_classes, most_material
from wavenet.catalogue.recording import Recording
from wavenet.catalogue.tags import FIRST_YEAR, LAST_YEAR, year_of

NO_GENRE_TAG: Final = "no genre tag"
OTHER_GENRE: Final = "another genre"
NO_YEAR_TAG: Final = "no year tag"
BAD_YEAR: Final = f"no year from {FIRST_YEAR} to {LAST_YEAR}"
UNKNOWN_LENGTH: Final = "unknown length"
DUPLICATE: Final = "same content as another"


@dataclass(frozen=True)
class Selection:
    """All recordings, decided, the classes of those taken, and the genres asked for of which none was taken."""

    recordings: tuple[Recording, ...]
    classes: tuple[ClassOfMusic, ...]
    missing_genres: tuple[str, ...]

    @property
    def taken(self) -> list[Recording]:
        return [recording for recording in self.recordings if recording.is_taken]


def select(recordings: Sequence[Recording], clips: ClipsConfig, genres: GenresConfig) -> Selection:
    """Decide each of ``recordings``.

    A genre without a recording makes no class, so that no model learns a condition of which nothing is known.

    Raises:
        InputError: the user's genre table breaks a rule.
    """
    table = genres.load_table()
    wanted = genres.names
    if genres.most_material:
        anything = [_decide(recording, None, table, clips, genres) for recording in recordings]
        wanted = most_material(_seconds_by_genre(_without_duplicates(anything)), genres.most_material)
    decided = _without_duplicates([_decide(recording, wanted, table, clips, genres) for recording in recordings])
    return _classify(decided, wanted, genres)


def _decide(
    recording: Recording, wanted: Sequence[str] | None, table: GenreTable, clips: ClipsConfig, genres: GenresConfig
) -> Recording:
    """``recording`` with its genre and year, or with the first reason against it; ``wanted`` None: every genre."""
    if not recording.is_taken:
        return recording
    found = genres_in(recording.genre_tags, table)
    known = {words_of(name): name for name in (found if wanted is None else wanted)}
    genre = next((known[words_of(name)] for name in found if words_of(name) in known), "")
    decided = replace(recording, genre=genre, year=year_of(recording.year_tags))
    reason, detail = _objection(decided, clips, genres)
    return replace(decided, reason=reason, detail=detail)


def _objection(recording: Recording, clips: ClipsConfig, genres: GenresConfig) -> tuple[str, str]:
    """The first reason not to take ``recording``, and its detail; empty texts where there is none."""
    year = genres.needs_year
    objections = [
        (not recording.genre_tags, NO_GENRE_TAG, ""),
        (not recording.genre, OTHER_GENRE, ", ".join(recording.genre_tags)),
        (year and not recording.year_tags, NO_YEAR_TAG, ""),
        (year and not recording.year, BAD_YEAR, ", ".join(recording.year_tags)),
        (not recording.seconds, UNKNOWN_LENGTH, ""),
        (
            not clips.num_clips(recording.seconds),
            f"shorter than {clips.needed_seconds:g} s",
            f"{recording.seconds:.1f} s",
        ),
    ]
    return next(((reason, detail) for applies, reason, detail in objections if applies), ("", ""))


def _without_duplicates(recordings: Iterable[Recording]) -> list[Recording]:
    """``recordings`` with all but the first of those that are taken and have the same content objected to."""
    first: dict[str, str] = {}
    unique = []
    for recording in recordings:
        original = first.setdefault(recording.digest, recording.path) if recording.is_taken else recording.path
        is_copy = original != recording.path
        unique.append(replace(recording, reason=DUPLICATE, detail=original) if is_copy else recording)
    return unique


def _seconds_by_genre(recordings: Iterable[Recording]) -> dict[str, float]:
    seconds: dict[str, float] = defaultdict(float)
    for recording in recordings:
        if recording.is_taken:
            seconds[recording.genre] += recording.seconds
    return seconds


def _classify(recordings: Sequence[Recording], wanted: Sequence[str], genres: GenresConfig) -> Selection:
    taken = [recording for recording in recordings if recording.is_taken]
    present = {recording.genre for recording in taken}
    names = [name for name in wanted if name in present]
    classes = make_classes(names, {recording.year for recording in taken}, genres.by_year)
    ids = {(music.genre, music.year): music.id for music in classes}
    classified = (
        replace(one, class_id=ids[one.genre, one.year if genres.by_year else None]) if one.is_taken else one
        for one in recordings
    )
    return Selection(tuple(classified), classes, tuple(name for name in wanted if name not in present))
