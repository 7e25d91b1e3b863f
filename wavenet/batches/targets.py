"""Windows as arrays: what goes into the network, what should come out, and what counts in the loss.

Shapes: B windows, T = receptive field + W − 1 input levels, W targets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wavenet.audio import mulaw
from wavenet.batches.order import Window
from wavenet.shards.index import Clip, Dataset

SILENT_LEVEL = 128
"""The level of a zero sample, with which a clip is padded on the left."""

NOT_COUNTED = -100
"""Target behind a clip's end; the value that torch's cross entropy ignores."""


@dataclass(frozen=True)
class Batch:
    """levels (B, T) and targets (B, W) as int64; class_ids (B,) int64."""

    levels: NDArray[np.int64]
    targets: NDArray[np.int64]
    class_ids: NDArray[np.int64]


def make_batch(
    dataset: Dataset, clips: Sequence[Clip], windows: Sequence[Window], *, window_samples: int, receptive_field: int
) -> Batch:
    """Read ``windows`` of ``clips`` and turn their samples into levels."""
    levels = np.full((len(windows), receptive_field + window_samples), SILENT_LEVEL, np.int64)
    targets = np.full((len(windows), window_samples), NOT_COUNTED, np.int64)
    for row, window in enumerate(windows):
        clip = clips[window.clip]
        first = max(0, window.first_target - receptive_field)
        stop = min(clip.length, window.first_target + window_samples)
        read = mulaw.encode(dataset.read(clip, first, stop).astype(np.float32) / np.float32(32768.0))
        # Column c of this row is sample first_target − receptive_field + c of the clip.
        begin = first - (window.first_target - receptive_field)
        levels[row, begin : begin + len(read)] = read
        num_targets = stop - window.first_target
        targets[row, :num_targets] = levels[row, receptive_field : receptive_field + num_targets]
    class_ids = np.array([clips[window.clip].class_id for window in windows], np.int64)
    # The last sample is only ever a target: nothing after it is asked for.
    return Batch(levels[:, :-1], targets, class_ids)
