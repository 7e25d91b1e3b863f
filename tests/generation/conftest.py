"""A run with three checkpoints of a small network, and shards of real recordings to go on from."""

from __future__ import annotations

import mutagen
import numpy as np
import pytest
import soundfile
import torch

from wavenet.audio.clips import ClipsConfig
from wavenet.catalogue.genres import GenresConfig
from wavenet.catalogue.split import SplitConfig
from wavenet.checkpoint import store
from wavenet.checkpoint.ledger import Ledger, Owner
from wavenet.model.arrays import initial_arrays
from wavenet.model.config import ModelConfig
from wavenet.run_paths import RunPaths
from wavenet.shards.index import build_index, open_dataset
from wavenet.shards.plan import make_plan
from wavenet.shards.write import write_share
from wavenet.world import World

GENRES = ("rock", "metal")
SMALL = ModelConfig(
    num_stacks=1, layers_per_stack=4, residual_channels=4, dilation_channels=4, skip_channels=8, num_conditions=2
)


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def prepared(folder, validation_share):
    """A data folder made of four tagged recordings of two genres, half a second each."""
    music, data = folder / "music", folder / "data"
    music.mkdir(parents=True)
    for number in range(4):
        path = music / f"{number}.flac"
        soundfile.write(path, np.random.default_rng(number).normal(0, 0.1, 8_000), 16_000)
        tags = mutagen.File(path)
        tags["genre"], tags["date"] = GENRES[number % 2], "1994"
        tags.save()
    clips = ClipsConfig(seconds=0.5, min_recording_seconds=0.4)
    make_plan(music, data, clips, GenresConfig(names=GENRES), SplitConfig(validation_share))
    write_share(data, World())
    build_index(data)
    return data


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """Shards with one recording of each genre held out."""
    return prepared(tmp_path_factory.mktemp("data"), 0.5)


@pytest.fixture(scope="session")
def data_without_held_out(tmp_path_factory):
    return prepared(tmp_path_factory.mktemp("all for training"), 0.0)


@pytest.fixture
def ledger(tmp_path):
    return Ledger.claim(RunPaths(tmp_path / "a 'run'"), Owner("host", 1, 1))


@pytest.fixture
def commit(ledger, data):
    """``commit(step)``: a checkpoint whose averaged weights are another step's."""

    def commit(step, config=SMALL, with_ema=True, **facts):
        arrays = {"weights": initial_arrays(config, step)}
        if with_ema:
            arrays["ema"] = initial_arrays(config, step + 1)
        known = {
            "step": step,
            "position": step,
            "model": config.to_dict(),
            "sample_rate_hz": 16_000,
            "classes": list(GENRES),
            "data_digest": open_dataset(data).digest,
            "identity": {},
        }
        return store.commit(ledger.run, ledger, known | facts, arrays)

    return commit


@pytest.fixture
def run(commit, ledger):
    """A run with checkpoints of the steps 10, 20 and 300."""
    for step in (10, 20, 300):
        commit(step)
    return ledger.run
