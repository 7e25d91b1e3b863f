"""Held-out loss: the same windows of the same recordings at every validation, spread evenly over each class."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import torch

from wavenet.batches.order import Window
from wavenet.batches.targets import Batch, make_batch
from wavenet.model.network import WaveNet
from wavenet.shards.index import Clip, Dataset
from wavenet.training.config import TrainingConfig
from wavenet.training.step import loss_sum

_PER_BATCH = 4


@dataclass(frozen=True)
class ValidationResult:
    """Mean loss in nats per target: over all classes (each counting alike), and per class id."""

    loss: float
    per_class: dict[int, float]


def windows_per_class(clips: tuple[Clip, ...], num_windows: int, window_samples: int) -> dict[int, list[Window]]:
    """``num_windows`` windows for each class that has a clip, at even distances over its clips, none past an end."""
    members = defaultdict(list)
    for number, clip in enumerate(clips):
        members[clip.class_id].append(number)
    return {
        class_id: [_placed(clips, numbers, place / num_windows, window_samples) for place in range(num_windows)]
        for class_id, numbers in sorted(members.items())
    }


def _placed(clips: tuple[Clip, ...], numbers: list[int], fraction: float, window_samples: int) -> Window:
    clip, within = divmod(fraction * len(numbers), 1.0)
    number = numbers[int(clip)]
    return Window(number, int(within * max(1, clips[number].length - window_samples + 1)))


def validate(
    model: WaveNet, dataset: Dataset, config: TrainingConfig, beat: Callable[[], None]
) -> ValidationResult | None:
    """Loss of ``model`` on held-out clips; None where no recording was held out. ``beat`` is called at each batch."""
    chosen = windows_per_class(dataset.validation, config.validation_windows, config.window_samples)
    if not chosen:
        return None
    per_class = {class_id: _mean_loss(model, dataset, windows, config, beat) for class_id, windows in chosen.items()}
    return ValidationResult(sum(per_class.values()) / len(per_class), per_class)


def _mean_loss(
    model: WaveNet, dataset: Dataset, windows: list[Window], config: TrainingConfig, beat: Callable[[], None]
) -> float:
    total, count = 0.0, 0
    for first in range(0, len(windows), _PER_BATCH):
        batch = _batch(model, dataset, windows[first : first + _PER_BATCH], config)
        with torch.inference_mode():
            total += float(loss_sum(model, batch, config.precision))
        count += int((batch.targets >= 0).sum())
        beat()
    return total / count


def _batch(model: WaveNet, dataset: Dataset, windows: list[Window], config: TrainingConfig) -> Batch:
    return make_batch(
        dataset,
        dataset.validation,
        windows,
        window_samples=config.window_samples,
        receptive_field=model.config.receptive_field,
    )
