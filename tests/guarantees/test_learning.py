"""The demo's model has learnt: it predicts, it listens to its condition, and its audio has the genre asked for.

Judges are simple and fitted on training recordings alone; in the order-1 model's favour, its smoothing is the best in
hindsight.

Shapes: ``T`` samples, ``K`` classes, ``F`` features.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

import wavenet
from wavenet.audio import mulaw
from wavenet.checkpoint.store import list_committed
from wavenet.shards.index import Clip, Dataset, open_dataset

pytestmark = pytest.mark.xdist_group("wheel")

NUM_LEVELS = 256
PIECE_SECONDS = 2.0
NUM_TARGETS = 8000
FRAME, HOP, NUM_BANDS = 1024, 512, 40
LOWEST_HZ = 40.0


@pytest.fixture(scope="module")
def dataset(demo: Any) -> Dataset:
    return open_dataset(demo.folder / "data")


# --- prediction of held-out audio


def _levels(dataset: Dataset, clip: Clip, first: int = 0, stop: int | None = None) -> NDArray[np.int64]:
    samples = dataset.read(clip, first, clip.length if stop is None else stop)
    return mulaw.encode(samples.astype(np.float32) / np.float32(32768)).astype(np.int64)


def _excerpts(dataset: Dataset, context: int) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """From each held-out clip two stretches: class id and (context + NUM_TARGETS,) levels."""
    for clip in dataset.validation:
        for share in (0.2, 0.7):
            first = int(share * (clip.length - NUM_TARGETS - context))
            yield clip.class_id, _levels(dataset, clip, first, first + context + NUM_TARGETS)


def _log_softmax_loss(logits: NDArray[np.float32], targets: NDArray[np.int64]) -> float:
    """Mean cross-entropy in bits."""
    logits = logits.astype(np.float64)
    logits -= logits.max(1, keepdims=True)
    log_probability = logits[np.arange(len(targets)), targets] - np.log(np.exp(logits).sum(1))
    return float(-log_probability.mean() / math.log(2))


@dataclass(frozen=True)
class Losses:
    """Bits per sample on the same held-out targets."""

    right: float
    wrong: float
    order_1: float


@pytest.fixture(scope="module")
def losses(demo: Any, dataset: Dataset) -> Losses:
    model = wavenet.load(list_committed(demo.run)[-1].path)
    context = model.receptive_field
    genres = [each.id for each in dataset.classes]
    right, wrong = [], []
    for class_id, levels in _excerpts(dataset, context):
        for condition in genres:
            logits = np.asarray(model.logits(levels[:-1], condition))[-NUM_TARGETS:]
            loss = _log_softmax_loss(logits, levels[-NUM_TARGETS:])
            (right if condition == class_id else wrong).append(loss)
    return Losses(float(np.mean(right)), float(np.mean(wrong)), _order_1_loss(dataset, context))


def _order_1_loss(dataset: Dataset, context: int) -> float:
    """Loss of a per-genre table of level pairs, smoothed towards the genre's single levels as suits it best."""
    pairs = {each.id: np.zeros((NUM_LEVELS, NUM_LEVELS)) for each in dataset.classes}
    for clip in dataset.train:
        levels = _levels(dataset, clip)
        np.add.at(pairs[clip.class_id], (levels[:-1], levels[1:]), 1)
    best = math.inf
    for weight in (1.0, 4.0, 16.0, 64.0):
        found = []
        for class_id, levels in _excerpts(dataset, context):
            table = pairs[class_id]
            single = (table.sum(0) + 1) / (table.sum() + NUM_LEVELS)
            before, after = levels[-NUM_TARGETS - 1 : -1], levels[-NUM_TARGETS:]
            probability = (table[before, after] + weight * single[after]) / (table[before].sum(1) + weight)
            found.append(-np.log2(probability).mean())
        best = min(best, float(np.mean(found)))
    return best


@pytest.mark.timeout(1500)
def test_it_predicts_held_out_audio_better_than_the_last_level_alone(losses: Losses) -> None:
    """Held-out loss is below that of a per-genre order-1 model of levels."""
    assert losses.right < losses.order_1


def test_the_wrong_genre_costs_a_bit(losses: Losses) -> None:
    """Told another genre than the recording's, the model needs at least one bit per sample more."""
    assert losses.wrong - losses.right >= 1.0


# --- what generated audio sounds like


def _features(samples: NDArray[np.float32], rate: int) -> NDArray[np.float64]:
    """(F,) mean and spread over time of the log energy in bands of equal width in pitch."""
    frames = np.lib.stride_tricks.sliding_window_view(samples.astype(np.float64), FRAME)[::HOP]
    power = np.abs(np.fft.rfft(frames * np.hanning(FRAME))) ** 2
    edges = np.geomspace(LOWEST_HZ, rate / 2, NUM_BANDS + 1) * FRAME / rate
    bands = np.clip(np.searchsorted(edges, np.arange(power.shape[1])) - 1, 0, NUM_BANDS - 1)
    sums = np.stack([power[:, bands == band].sum(1) for band in np.unique(bands)], axis=1)
    energy = np.log10(sums + 1e-6)
    return np.concatenate([energy.mean(0), energy.std(0)])


class Classifier:
    """Linear discriminant of spectral features: one mean per class, one shared, shrunk covariance."""

    def __init__(self, features: NDArray[np.float64], class_ids: NDArray[np.int64]) -> None:
        self._classes = np.unique(class_ids)
        self._means = np.stack([features[class_ids == each].mean(0) for each in self._classes])
        centred = features - self._means[np.searchsorted(self._classes, class_ids)]
        covariance = centred.T @ centred / len(features)
        shrunk = 0.9 * covariance + 0.1 * np.eye(len(covariance)) * np.trace(covariance) / len(covariance)
        self._inverse = np.linalg.inv(shrunk)

    def __call__(self, features: NDArray[np.float64]) -> int:
        away = self._means - features
        return int(self._classes[np.argmin(np.einsum("kf,fg,kg->k", away, self._inverse, away))])


def _pieces(dataset: Dataset, clips: tuple[Clip, ...]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Features and class ids of all whole pieces of the clips, heard through mu-law as generated audio is."""
    length = round(PIECE_SECONDS * dataset.sample_rate_hz)
    features, class_ids = [], []
    for clip in clips:
        for first in range(0, clip.length - length + 1, length):
            heard = mulaw.decode(_levels(dataset, clip, first, first + length))
            features.append(_features(heard, dataset.sample_rate_hz))
            class_ids.append(clip.class_id)
    return np.stack(features), np.array(class_ids)


@pytest.fixture(scope="module")
def classifier(dataset: Dataset) -> Classifier:
    return Classifier(*_pieces(dataset, dataset.train))


@dataclass(frozen=True)
class Generated:
    """One clip that the demo generated from silence."""

    step: int
    class_id: int
    samples: NDArray[np.float32]
    rate: int


@pytest.fixture(scope="module")
def from_silence(demo: Any) -> list[Generated]:
    clips = []
    for path in sorted(demo.run.generated.glob("*.json")):
        facts = json.loads(path.read_text("utf-8"))
        if facts["priming"] == "silence":
            samples, rate = soundfile.read(path.with_name(facts["wav"]), dtype="float32")
            clips.append(Generated(facts["step"], facts["class_id"], samples, rate))
    return clips


def _num_right(classifier: Classifier, clips: list[Generated], step: int) -> tuple[int, int]:
    chosen = [clip for clip in clips if clip.step == step]
    return sum(classifier(_features(clip.samples, clip.rate)) == clip.class_id for clip in chosen), len(chosen)


def test_the_judge_knows_the_genres(dataset: Dataset, classifier: Classifier) -> None:
    """On held-out recordings the classifier is right at least 95 times in 100."""
    features, class_ids = _pieces(dataset, dataset.validation)
    assert np.mean([classifier(each) for each in features] == class_ids) >= 0.95


def test_generated_audio_has_the_genre_asked_for(classifier: Classifier, from_silence: list[Generated]) -> None:
    """Of ten clips from silence the judge names at least seven of the last checkpoint, at most four of the first."""
    steps = sorted({clip.step for clip in from_silence})
    first, last = (_num_right(classifier, from_silence, step) for step in (steps[0], steps[-1]))
    assert first[1] == last[1] == 10
    assert last[0] >= 7
    assert first[0] <= 4


def test_no_clip_of_the_last_checkpoint_is_silent_or_stuck(from_silence: list[Generated]) -> None:
    """In each tenth of a second of each clip there is sound, and it changes."""
    last = max(clip.step for clip in from_silence)
    for clip in (each for each in from_silence if each.step == last):
        window = clip.rate // 10
        stretches = clip.samples[: len(clip.samples) // window * window].reshape(-1, window)
        assert np.sqrt((stretches**2).mean(1)).max() > 0.01
        assert all(len(np.unique(stretch)) > 2 for stretch in stretches)
