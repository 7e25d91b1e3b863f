"""The library is one that a person could have: every format and tag form, and a file for every reason to refuse one."""

from __future__ import annotations

import filecmp
from collections import Counter

import numpy as np
import pytest

from wavenet.audio.clips import ClipsConfig
from wavenet.audio.files import decode
from wavenet.audio.names import from_text
from wavenet.catalogue.genres import GenresConfig
from wavenet.catalogue.recording import read_catalogue
from wavenet.catalogue.split import SplitConfig
from wavenet.shards.index import build_index
from wavenet.shards.plan import make_plan
from wavenet.shards.write import write_share
from wavenet.synthetic.library import NUM_RECORDINGS, write_library
from wavenet.synthetic.music import GENRES
from wavenet.world import World

SECONDS = 2.0


@pytest.fixture(scope="module")
def music(tmp_path_factory):
    folder = tmp_path_factory.mktemp("a person's music")
    write_library(folder, seed=5, seconds=SECONDS)
    return folder


@pytest.fixture(scope="module")
def recordings(music, tmp_path_factory):
    """The rows of the catalogue that prepare makes of it."""
    data = tmp_path_factory.mktemp("data")
    clips = ClipsConfig(seconds=SECONDS, min_recording_seconds=SECONDS)
    make_plan(music, data, clips, GenresConfig(), SplitConfig(0.15))
    write_share(data, World())
    build_index(data)
    return read_catalogue(data / "catalogue.jsonl")


def _files(folder):
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())


def test_every_usable_recording_is_taken_with_its_genre(recordings):
    """Whatever form its tags have: numbers, several genres, dates with and without days, ID3v1."""
    taken = Counter(recording.genre for recording in recordings if recording.is_taken)
    assert taken == NUM_RECORDINGS
    assert list(NUM_RECORDINGS) == list(GENRES)


def test_there_is_a_file_for_every_reason_not_to_take_one(recordings):
    """No genre, no year, another genre, too short, broken off, empty, no audio: all in Various, and nothing else."""
    refused = [recording for recording in recordings if not recording.is_taken]
    assert {recording.path.split("/")[0] for recording in refused} == {"Various"}
    assert len(refused) == 11
    assert len({recording.reason for recording in refused}) >= 7


def test_the_formats_and_rates_are_mixed(music):
    """MP3, FLAC, Ogg and M4A, each in every genre."""
    for artist in {path.parent for path in music.rglob("*.m4a")} - {music / "Various"}:
        assert {path.suffix for path in artist.iterdir()} == {".mp3", ".flac", ".ogg", ".m4a"}


def test_some_names_and_tags_are_nasty(music, recordings):
    """Spaces, quotes, other scripts and shell characters in names; HTML in a tag that the report may show."""
    names = "".join(str(path) for path in _files(music))
    assert all(letter in names for letter in " \"'é楽&$;%")
    assert any("<script>" in text for recording in recordings for text in recording.genre_tags)


def test_every_usable_recording_decodes_to_its_music(music, recordings):
    """Through any codec it is as long as it says and about as loud as it was made."""
    for recording in recordings:
        if recording.is_taken:
            samples = decode(music / from_text(recording.path)) / 32768
            assert len(samples) / 16_000 == pytest.approx(recording.seconds, abs=0.1)
            assert 0.05 < np.sqrt((samples**2).mean()) < 0.6


def test_the_same_seed_gives_the_same_bytes(music, tmp_path):
    """Encoders put clocks and dice into files; ours may not, or the split would differ from day to day."""
    write_library(tmp_path, seed=5, seconds=SECONDS, recordings_share=0.5)
    again = _files(tmp_path)
    same, different, failed = filecmp.cmpfiles(tmp_path, music, again, shallow=False)
    assert (different, failed) == ([], [])
    assert len(same) == len(again) > 25


def test_what_is_there_is_not_written_again(tmp_path):
    """So that a demo that is started again goes on at once."""
    seen = []
    write_library(tmp_path, seconds=0.5, recordings_share=0.1, progress=lambda done, total: seen.append((done, total)))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*")}
    write_library(tmp_path, seconds=0.5, recordings_share=0.1)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*")} == before
    assert seen[-1][0] == seen[-1][1] == len(_files(tmp_path))
