"""A small library of music, and preparing it the way the stages do."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from wavenet.audio.clips import ClipsConfig
from wavenet.catalogue.genres import GenresConfig
from wavenet.catalogue.split import SplitConfig
from wavenet.progress import silent
from wavenet.shards.index import build_index
from wavenet.shards.plan import make_plan
from wavenet.shards.write import write_share
from wavenet.world import World

CLIPS = ClipsConfig(seconds=1.0, min_recording_seconds=2.5, per_recording=2)
SPLIT = SplitConfig(0.25)
GENRES = GenresConfig(names=("rock", "metal"))


@dataclass(frozen=True)
class Library:
    """A folder of music and the folder of shards made from it."""

    source: Path
    data: Path

    def plan(self, clips=CLIPS, genres=GENRES, split=SPLIT, num_shards=3, **options):
        return make_plan(self.source, self.data, clips, genres, split, num_shards=num_shards, **options)

    def prepare(self, num_workers=1, progress=silent, **options):
        plan = self.plan(**options)
        for rank in range(num_workers):
            write_share(self.data, World(rank, num_workers), progress)
        build_index(self.data)
        return plan

    def content(self):
        """Bytes of every file of the data folder by name."""
        return {path.relative_to(self.data): path.read_bytes() for path in self.data.rglob("*") if path.is_file()}


@pytest.fixture
def library(tmp_path, make_recording):
    """Four recordings of rock and two of metal, in five formats."""
    source = tmp_path / "my music"
    names = ["a.wav", "b.flac", "c.mp3", "d.ogg", "e.wav", "f.flac"]
    for number, name in enumerate(names):
        make_recording(source / name, genre="Rock" if number < 4 else "Death Metal", year=str(1990 + number))
    return Library(source, tmp_path / "the data")
