"""What is measured: the best of a few repetitions, because everything else on a machine only ever adds time."""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import yaml

from wavenet import seeds
from wavenet.audio.files import decode, encode_mp3
from wavenet.batches.targets import Batch
from wavenet.model.config import ModelConfig
from wavenet.model.network import WaveNet
from wavenet.training.config import Schedule, TrainingConfig
from wavenet.training.step import Optimizer
from wavenet.world import World

PRESETS = Path(__file__).parents[2] / "jobs" / "configs" / "model"
NUM_GENRES = 5


@dataclass(frozen=True)
class Measurement:
    """One number: what was measured, its value and the value's unit."""

    what: str
    value: float
    unit: str


def preset(name: str) -> ModelConfig:
    """The shape of a preset, with as many classes as the class project had."""
    values = yaml.safe_load((PRESETS / f"{name}.yaml").read_text(encoding="utf-8"))["model"]
    return ModelConfig(**values, num_conditions=NUM_GENRES)


def _network(name: str, *, recompute: bool = False) -> WaveNet:
    network = WaveNet(preset(name))
    network.initialise(0)
    network.recompute = recompute
    return network


def _best_seconds(work: Callable[[], object], repetitions: int) -> float:
    times = []
    for _ in range(repetitions):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


def _random_batch(network: WaveNet, num_targets: int) -> Batch:
    length = network.config.receptive_field + num_targets - 1
    levels = seeds.generator(0, "levels").integers(0, network.config.num_levels, (1, length + 1))
    return Batch(levels[:, :-1], levels[:, -num_targets:], np.zeros(1, np.int64))


def training() -> Iterator[Measurement]:
    """Seconds per step: forward, backward, the tree sum and Adam."""
    for name, num_windows, num_targets, repetitions in (("tiny", 4, 1000, 10), ("reference", 2, 16_000, 2)):
        network = _network(name)
        config = TrainingConfig(
            window_samples=num_targets, micro_batches=num_windows, schedule=Schedule.constant, warmup_steps=0
        )
        optimizer, batch = Optimizer(network, config), _random_batch(network, num_targets)

        def step(optimizer: Optimizer = optimizer, batch: Batch = batch) -> None:
            optimizer.apply(optimizer.compute(1, lambda index: batch, World(), None, lambda: None))

        step()
        what = f"training step, {name}, {num_windows} windows of {num_targets:,} targets"
        yield Measurement(what, _best_seconds(step, repetitions), "s")


def memory() -> Iterator[Measurement]:
    """Peak memory of the whole process over one step on a 100,000-sample window of the reference, layers recomputed."""
    network = _network("reference", recompute=True)
    config = TrainingConfig(window_samples=100_000, micro_batches=1, warmup_steps=0)
    batch = _random_batch(network, config.window_samples)
    optimizer = Optimizer(network, config)
    optimizer.apply(optimizer.compute(1, lambda index: batch, World(), None, lambda: None))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    yield Measurement("peak memory, reference, one window of 100,000 targets", peak, "GiB")


def decoding() -> Iterator[Measurement]:
    """Seconds for the two minutes that a clip takes of a 44.1 kHz MP3, resampled to 16 kHz."""
    noise = seeds.generator(0, "noise").normal(0, 0.1, 120 * 44_100).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "noise.mp3"
        encode_mp3(path, noise, 44_100)
        yield Measurement("decoding and resampling 120 s of MP3", _best_seconds(lambda: decode(path, 120.0), 3), "s")


ALL: dict[str, Callable[[], Iterator[Measurement]]] = {
    "memory": memory,  # first: a process's peak never falls again
    "decoding": decoding,
    "training": training,
}

torch.set_num_threads(1)
