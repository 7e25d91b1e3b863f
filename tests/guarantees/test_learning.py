"""The demo's model has learnt: it predicts, it listens to its condition, and its audio has the genre asked for.

The judges are simple, fitted on training recordings alone, and are themselves held to what they must know. In the
order-1 model's favour, its smoothing is the best in hindsight.

Shapes: ``T`` samples, ``N`` frames, ``K`` classes, ``F`` features, ``Q`` levels.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

import wavenet
from wavenet.audio import mulaw
from wavenet.checkpoint.store import list_committed
from wavenet.run_paths import RunPaths
from wavenet.shards.index import Clip, Dataset, open_dataset

pytestmark = [pytest.mark.xdist_group("wheel"), pytest.mark.timeout(1500)]

NUM_LEVELS = 256
NUM_TARGETS = 8000
PIECE_SECONDS = 2.0

FRAME, SPECTRUM, NUM_BANDS = 4096, 512, 16
FAINT = 0.01
"""Power, as a part of the loudest band's, below which a band does not count: 20 dB down, it is hardly heard."""

QUIET, FEW_LEVELS = 0.1, 16
"""Silent: this part of the genre's loudness. Stuck: no more different levels than this in half a second."""

Levels = NDArray[np.uint8]
Labelled = tuple[int, Levels]


def levels_of(dataset: Dataset, clip: Clip, first: int = 0, stop: int | None = None) -> Levels:
    return mulaw.encode_int16(dataset.read(clip, first, clip.length if stop is None else stop))


def whole(dataset: Dataset, clips: Iterable[Clip]) -> list[Labelled]:
    """Class id and levels of each clip."""
    return [(clip.class_id, levels_of(dataset, clip)) for clip in clips]


@pytest.fixture(scope="module")
def dataset(demo: Any) -> Dataset:
    return open_dataset(demo.folder / "data")


# --- prediction of held-out audio


@dataclass(frozen=True)
class Losses:
    """Mean bits per sample of the same targets: of the model, told the right genre or a wrong one, and of order 1."""

    right: float
    wrong: float
    order_1: float


def measure_losses(run: RunPaths, data: Path) -> Losses:
    """Of the averaged weights of the run's last checkpoint."""
    dataset = open_dataset(data)
    model = wavenet.load(list_committed(run)[-1].path)
    right, wrong = [], []
    for class_id, levels in _excerpts(dataset, model.receptive_field):
        for condition in range(len(dataset.classes)):
            loss = _bits(model.logits(levels[:-1], condition), levels[-NUM_TARGETS:])
            (right if condition == class_id else wrong).append(loss)
    return Losses(float(np.mean(right)), float(np.mean(wrong)), _order_1_loss(dataset, model.receptive_field))


def _excerpts(dataset: Dataset, context: int) -> Iterator[Labelled]:
    """From each held-out clip two stretches of (context + NUM_TARGETS,) levels."""
    for clip in dataset.validation:
        for share in (0.2, 0.7):
            first = int(share * (clip.length - NUM_TARGETS - context))
            yield clip.class_id, levels_of(dataset, clip, first, first + context + NUM_TARGETS)


def _bits(logits: NDArray[np.float32], targets: Levels) -> float:
    """Mean cross-entropy in bits."""
    exact = logits.astype(np.float64)
    exact -= exact.max(1, keepdims=True)
    log_probability = exact[np.arange(len(targets)), targets] - np.log(np.exp(exact).sum(1))
    return float(-log_probability.mean() / math.log(2))


def _order_1_loss(dataset: Dataset, context: int) -> float:
    """Loss of a per-genre table of level pairs, smoothed towards the genre's single levels as suits it best."""
    pairs = np.zeros((len(dataset.classes), NUM_LEVELS, NUM_LEVELS))
    for class_id, levels in whole(dataset, dataset.train):
        np.add.at(pairs[class_id], (levels[:-1], levels[1:]), 1)
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


@pytest.fixture(scope="module")
def losses(demo: Any) -> Losses:
    return measure_losses(demo.run, demo.folder / "data")


def test_it_predicts_held_out_audio_better_than_the_last_level_alone(losses: Losses) -> None:
    """Held-out loss is below that of a per-genre order-1 model of levels."""
    assert losses.right < losses.order_1


def test_the_wrong_genre_costs_a_bit(losses: Losses) -> None:
    """Told another genre than the recording's, the model needs at least one bit per sample more."""
    assert losses.wrong - losses.right >= 1.0


# --- what generated audio sounds like


def features(levels: Levels) -> NDArray[np.float64]:
    """(N, F) log energy, against the loudest, in bands of equal width in pitch, of each quarter of a second."""
    samples = mulaw.decode(levels[: len(levels) // FRAME * FRAME]).astype(np.float64)
    pieces = samples.reshape(-1, FRAME // SPECTRUM, SPECTRUM) * np.hanning(SPECTRUM)
    power = (np.abs(np.fft.rfft(pieces)) ** 2).mean(1)
    edges = np.unique(np.round(np.geomspace(1, power.shape[1], NUM_BANDS + 1)).astype(int))
    bands = np.stack([power[:, low:high].mean(1) for low, high in itertools.pairwise(edges)], axis=1)
    return np.log(bands / (bands.max(1, keepdims=True) + 1e-12) + FAINT)


class Classifier:
    """Linear discriminant of single frames (one mean per class, one shared covariance); a clip's frames vote by score.

    Frames, not clips, because their spread within a recording says which differences matter: recordings of a genre are
    so alike on average that any hiss would outweigh the music.
    """

    def __init__(self, clips: Iterable[Labelled]) -> None:
        labelled = [(class_id, features(levels)) for class_id, levels in clips]
        frames = np.concatenate([each for _, each in labelled])
        class_ids = np.concatenate([np.full(len(each), class_id) for class_id, each in labelled])
        self._means = np.stack([frames[class_ids == each].mean(0) for each in np.unique(class_ids)])
        centred = frames - self._means[class_ids]
        covariance = centred.T @ centred / len(frames)
        spread = np.trace(covariance) / len(covariance)
        self._inverse = np.linalg.inv(covariance + 0.1 * spread * np.eye(len(covariance)))

    def __call__(self, levels: Levels) -> int:
        """The class that ``levels`` (T,) sound most like."""
        away = features(levels)[:, np.newaxis] - self._means
        return int(np.einsum("nkf,fg,nkg->k", away, self._inverse, away).argmin())


def pieces_of(clips: Iterable[Labelled], length: int) -> list[Labelled]:
    """All whole pieces of ``length`` samples."""
    return [
        (class_id, levels[first : first + length])
        for class_id, levels in clips
        for first in range(0, len(levels) - length + 1, length)
    ]


def is_silent_or_stuck(levels: Levels, loudness: float) -> bool:
    """Whether some half second is far below ``loudness`` (RMS) or stays on a few levels.

    RMS is taken about the mean: a constant is silent, whatever its level.
    """
    halves = levels[: len(levels) // 8000 * 8000].reshape(-1, 8000)
    is_silent = mulaw.decode(halves).std(1) < QUIET * loudness
    is_stuck = np.array([len(np.unique(half)) <= FEW_LEVELS for half in halves])
    return bool((is_silent | is_stuck).any())


@dataclass(frozen=True)
class Generated:
    """One clip that the run generated from silence."""

    step: int
    class_id: int
    levels: Levels


def read_generated(run: RunPaths) -> list[Generated]:
    clips = []
    for path in sorted(run.generated.glob("*.json")):
        facts = json.loads(path.read_text("utf-8"))
        if facts["priming"] == "silence":
            samples, _ = soundfile.read(path.with_name(facts["wav"]), dtype="float32")
            clips.append(Generated(facts["step"], facts["class_id"], mulaw.encode(samples)))
    return clips


def num_right(classifier: Classifier, clips: Iterable[Generated]) -> int:
    return sum(classifier(clip.levels) == clip.class_id for clip in clips)


@pytest.fixture(scope="module")
def classifier(dataset: Dataset) -> Classifier:
    return Classifier(whole(dataset, dataset.train))


@pytest.fixture(scope="module")
def first_clips(demo: Any) -> list[Generated]:
    clips = read_generated(demo.run)
    return [clip for clip in clips if clip.step == min(each.step for each in clips)]


@pytest.fixture(scope="module")
def last_clips(demo: Any) -> list[Generated]:
    clips = read_generated(demo.run)
    return [clip for clip in clips if clip.step == max(each.step for each in clips)]


def test_the_judge_knows_the_genres(dataset: Dataset, classifier: Classifier) -> None:
    """Of held-out recordings, in pieces as long as generated ones, the classifier names at least 95 in 100."""
    pieces = pieces_of(whole(dataset, dataset.validation), round(PIECE_SECONDS * dataset.sample_rate_hz))
    assert {class_id for class_id, _ in pieces} == set(range(len(dataset.classes)))
    assert np.mean([classifier(levels) == class_id for class_id, levels in pieces]) >= 0.95


def test_the_judge_hears_silence_and_standstill(dataset: Dataset) -> None:
    """Recordings are neither; silence, a constant, a click and a sound that stops halfway are."""
    for class_id, levels in pieces_of(whole(dataset, dataset.validation), 32_000):
        assert not is_silent_or_stuck(levels, _loudness(dataset, class_id))
    music = levels_of(dataset, dataset.train[0], 0, 32_000)
    silence, constant = np.full_like(music, 128), np.full_like(music, 200)
    click, stopped = silence.copy(), np.concatenate([music[:16_000], silence[16_000:]])
    click[5] = 255
    assert all(is_silent_or_stuck(levels, 0.1) for levels in (silence, constant, click, stopped))


def _loudness(dataset: Dataset, class_id: int) -> float:
    clips = [clip for clip in dataset.train if clip.class_id == class_id]
    return float(np.mean([mulaw.decode(levels).std() for _, levels in whole(dataset, clips)]))


def test_generated_audio_has_the_genre_asked_for(
    classifier: Classifier, first_clips: list[Generated], last_clips: list[Generated]
) -> None:
    """Of ten clips from silence the judge names at least seven of the last checkpoint, at most four of the first."""
    assert len(first_clips) == len(last_clips) == 10
    assert num_right(classifier, last_clips) >= 7
    assert num_right(classifier, first_clips) <= 4


def test_no_clip_of_the_last_checkpoint_is_silent_or_stuck(dataset: Dataset, last_clips: list[Generated]) -> None:
    """In each half second of each clip there is sound, a tenth as loud as the genre at least, and it changes."""
    quiet = [clip for clip in last_clips if is_silent_or_stuck(clip.levels, _loudness(dataset, clip.class_id))]
    assert [(clip.class_id, clip.step) for clip in quiet] == []
