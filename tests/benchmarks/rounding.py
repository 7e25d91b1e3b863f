"""``python -m tests.benchmarks.rounding CHECKPOINT DATA``: what 16 bits in place of 32 cost, on held-out recordings.

Teacher-forced, the same samples for both: the divergence of each sample's distribution from that of float32 weights,
and the mean negative log2-likelihood of the samples themselves.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.generation.native import LIBRARY, divergence, log_probabilities
from wavenet.audio import mulaw
from wavenet.generation.config import Precision, Variant, Weights
from wavenet.generation.native.streams import Kernel, new_streams
from wavenet.generation.restore import restore_packed
from wavenet.generation.streams import StreamRequest
from wavenet.generation.variants import runnable
from wavenet.shards.index import open_dataset

MOST_CLIPS = 10
SAMPLES = 16_000
"""Of each clip at most."""


def held_out(data: Path) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Class id and levels of the beginnings of held-out clips."""
    dataset = open_dataset(data)
    for clip in dataset.validation:
        samples = dataset.read(clip, 0, min(clip.length, SAMPLES))
        yield clip.class_id, mulaw.encode(samples.astype(np.float32) / np.float32(32768))


def logits(kernel: Kernel, class_id: int, levels: NDArray[np.int64]) -> NDArray[np.float32]:
    """Before each of ``levels`` is known."""
    (stream,) = new_streams(kernel.model, [StreamRequest(class_id, 0, 0)], 1)
    kernel.start([stream])
    return kernel.force(stream, levels, with_logits=True)


def main() -> None:
    """Print a line for each number, of each precision that this machine can compute with."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.rounding", description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("data", type=Path)
    arguments = parser.parse_args()
    of_precision = {variant.precision: variant for variant in reversed(runnable())}
    for precision in (Precision.int16, Precision.fixed):
        if precision in of_precision:
            _compare(of_precision[precision], arguments.checkpoint, arguments.data)


def _kernel(checkpoint: Path, instructions: str, precision: Precision) -> Kernel:
    assert LIBRARY is not None, "the native kernel is not built"
    return Kernel(LIBRARY, instructions, restore_packed(checkpoint, Weights.ema, precision))


def _compare(variant: Variant, checkpoint: Path, data: Path) -> None:
    assert LIBRARY is not None, "the native kernel is not built"
    exact = _kernel(checkpoint, next(iter(LIBRARY.runnable)), Precision.float32)
    rounded = _kernel(checkpoint, variant.instructions, variant.precision)
    divergences, losses = [], []
    for class_id, levels in islice(held_out(data), MOST_CLIPS):
        ours, theirs = (logits(kernel, class_id, levels) for kernel in (exact, rounded))
        divergences.append(divergence(ours, theirs))
        losses.append([-log_probabilities(found)[np.arange(len(levels)), levels] for found in (ours, theirs)])
    every, (of_exact, of_rounded) = np.concatenate(divergences), np.concatenate(losses, axis=1) / np.log(2)
    print(f"{variant.value}")
    print(f"  samples                          {len(every):,}")
    print(f"  divergence, mean                 {every.mean():.3g} bits per sample")
    print(f"  divergence, worst                {every.max():.3g} bits per sample")
    print(f"  likelihood, float32              {of_exact.mean():.7f} bits per sample")
    print(f"  likelihood, {variant.precision.value:<20} {of_rounded.mean():.7f} bits per sample")


if __name__ == "__main__":
    main()
