from __future__ import annotations

from dataclasses import replace

import mutagen
import numpy as np
import pytest
import soundfile

from wavenet.audio.clips import ClipsConfig
from wavenet.catalogue.genres import GenresConfig
from wavenet.catalogue.split import SplitConfig
from wavenet.checkpoint.ledger import Owner
from wavenet.model.config import ModelConfig
from wavenet.run_paths import RunPaths
from wavenet.shards.index import build_index
from wavenet.shards.plan import make_plan
from wavenet.shards.write import write_share
from wavenet.training.config import TrainingConfig
from wavenet.training.job import TrainingJob
from wavenet.world import World

GENRES = ("rock", "metal")


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """Shards of six tagged recordings of two genres, three seconds each."""
    music, data = tmp_path_factory.mktemp("music"), tmp_path_factory.mktemp("data")
    time = np.arange(3 * 16_000) / 16_000
    for number in range(6):
        path = music / f"{number}.flac"
        soundfile.write(path, 0.5 * np.sin(2 * np.pi * 110 * (number + 1) * time), 16_000)
        tags = mutagen.File(path)
        tags["genre"], tags["date"] = GENRES[number % 2], "1994"
        tags.save()
    clips = ClipsConfig(seconds=2.5, min_recording_seconds=2.0)
    make_plan(music, data, clips, GenresConfig(names=GENRES), SplitConfig())
    write_share(data, World())
    build_index(data)
    return data


@pytest.fixture
def job(data, tmp_path):
    return small_job(data, RunPaths(tmp_path / "run"))


def small_job(data, run):
    """Eight steps of a network of four layers."""
    return TrainingJob(
        run=run,
        data=data,
        model=ModelConfig(
            num_stacks=1,
            layers_per_stack=4,
            residual_channels=8,
            dilation_channels=8,
            skip_channels=16,
            num_conditions=2,
        ),
        training=TrainingConfig(
            num_steps=8,
            window_samples=64,
            warmup_steps=2,
            padding_share=0.3,
            validation_every=4,
            validation_windows=3,
            checkpoint_steps=(),
            spread_checkpoints=2,
            log_every=2,
        ),
        seed=5,
        owner=Owner("host", 1, 1),
    )


@pytest.fixture
def changed():
    """The job with other training settings."""

    def changed(job, **settings):
        return replace(job, training=replace(job.training, **settings))

    return changed
