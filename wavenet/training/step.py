"""One optimiser update: gradients of the micro-batches, their tree sum, clipping, Adam, the average of the weights.

Shapes: N parameters; a summed vector has N gradients followed by a tail of loss sum, target count and one flag for
each cause of a stop, so that all ranks learn of a stop at the same step from the exchange that they make anyway.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from wavenet.batches.targets import NOT_COUNTED, Batch
from wavenet.checkpoint.state import Arrays
from wavenet.errors import NumericsError
from wavenet.model.config import Conditioning
from wavenet.model.network import WaveNet
from wavenet.training.config import Precision, Schedule, TrainingConfig
from wavenet.training.parameters import ParameterVector
from wavenet.training.reduction import Exchange, own_micro_batches, sum_across, tree_sum
from wavenet.training.stopping import CAUSES
from wavenet.world import World

_TAIL = 2 + len(CAUSES)


@dataclass(frozen=True)
class StepResult:
    """Mean loss in nats per counted target, norm of the mean gradient before clipping, and why to stop, if so."""

    loss: float
    gradient_norm: float
    learning_rate: float
    stop_cause: str | None


@dataclass(frozen=True)
class Update:
    """Update number ``step`` (from 1) before it is made, with the mean gradient (N,)."""

    step: int
    gradient: Tensor
    result: StepResult


def learning_rate(step: int, config: TrainingConfig) -> float:
    """Learning rate of update number ``step`` (from 1): linear warm-up, then constant or a cosine."""
    if step <= config.warmup_steps:
        return config.learning_rate * step / config.warmup_steps
    if config.schedule is Schedule.constant:
        return config.learning_rate
    progress = (step - config.warmup_steps) / max(1, config.num_steps - config.warmup_steps)
    low = config.final_learning_rate_share
    return config.learning_rate * (low + (1 - low) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress))))


def loss_sum(model: WaveNet, batch: Batch, precision: Precision) -> Tensor:
    """Sum over the counted targets of the cross entropy in nats, as a scalar tensor with a gradient."""
    levels, targets = torch.from_numpy(batch.levels), torch.from_numpy(batch.targets)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision is Precision.bfloat16):
        logits = model(levels, _condition(model, batch))
    # Outside of autocast: a softmax in bfloat16 has three decimal digits.
    return F.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), ignore_index=NOT_COUNTED, reduction="sum")


def _condition(model: WaveNet, batch: Batch) -> Tensor | None:
    class_ids = torch.from_numpy(batch.class_ids)
    if model.config.conditioning is Conditioning.vector:
        return F.one_hot(class_ids, model.config.num_conditions).float()
    return class_ids if model.config.conditioning is Conditioning.label else None


class Optimizer:
    """Adam on one parameter vector, with the average of the weights; its memory is part of every checkpoint.

    Nothing but `apply` and `restore` changes it, not even for a moment: between two updates another thread may save it.
    ``averaged_model`` has the averaged weights, or is the trained model itself where none are kept.
    """

    def __init__(self, model: WaveNet, config: TrainingConfig) -> None:
        self.averaged_model = copy.deepcopy(model) if config.ema_decay else model
        self.vector = ParameterVector(model)
        self._config = config
        self._model = model
        self._leaf = torch.nn.Parameter(self.vector.values, requires_grad=False)
        self._adam = torch.optim.Adam(
            [self._leaf], lr=config.learning_rate, betas=(config.beta1, config.beta2), eps=config.epsilon, foreach=False
        )
        self.ema = ParameterVector(self.averaged_model).values if config.ema_decay else None

    def compute(
        self,
        step: int,
        micro_batch: Callable[[int], Batch],
        world: World,
        exchange: Exchange | None,
        stop_cause: Callable[[], str | None],
    ) -> Update:
        """Prepare update number ``step`` (from 1) from the M micro-batches of its batch; changes nothing.

        Args:
            micro_batch: gives micro-batch i in [0, M); called for this rank's own ones only.
            stop_cause: asked once, after the gradients are computed; every rank learns of any rank's cause.

        Raises:
            NumericsError: loss or gradient is not finite.
        """
        own = own_micro_batches(self._config.micro_batches, world)
        summed = tree_sum(own, lambda index: self._leaf_vector(micro_batch(index)))
        summed[-len(CAUSES) :] = _flags(stop_cause())
        summed = sum_across(summed, world, exchange)
        gradient, tail = summed[:-_TAIL], summed[-_TAIL:]
        gradient = gradient / tail[1]
        loss, norm = float(tail[0] / tail[1]), float(torch.linalg.vector_norm(gradient))
        self._require_finite(step, loss, norm)
        rate = learning_rate(step, self._config)
        return Update(step, gradient, StepResult(loss, norm, rate, _cause(tail[2:])))

    def _leaf_vector(self, batch: Batch) -> Tensor:
        loss = loss_sum(self._model, batch, self._config.precision)
        count = float(np.count_nonzero(batch.targets != NOT_COUNTED))
        tail = torch.tensor([float(loss.detach()), count] + [0.0] * len(CAUSES))
        return torch.cat([self.vector.gradient(loss), tail])

    def _require_finite(self, step: int, loss: float, norm: float) -> None:
        if math.isfinite(loss) and math.isfinite(norm):
            return
        raise NumericsError(
            f"training stopped at step {step}: the loss must be a finite number, got {loss} with a gradient of norm "
            f"{norm}; the checkpoints before it are intact; start a new run with a lower training.learning_rate "
            f"(now {self._config.learning_rate}) or with training.gradient_clip (now {self._config.gradient_clip})"
        )

    def apply(self, update: Update) -> None:
        """Make the update."""
        gradient, norm = update.gradient, update.result.gradient_norm
        if self._config.gradient_clip and norm > self._config.gradient_clip:
            gradient = gradient * (self._config.gradient_clip / norm)
        self._adam.param_groups[0]["lr"] = update.result.learning_rate
        self._leaf.grad = gradient
        self._adam.step()
        if self.ema is not None:
            # A rising decay, or the random first weights would stay in the average for thousands of steps.
            decay = min(self._config.ema_decay, (1 + update.step) / (10 + update.step))
            self.ema.lerp_(self.vector.values, 1 - decay)

    def arrays(self) -> dict[str, Arrays]:
        """Everything that the next step depends on, as the groups of a checkpoint."""
        state = self._adam.state[self._leaf]
        moments = {"first_moment": state["exp_avg"].numpy(), "second_moment": state["exp_avg_sq"].numpy()}
        groups = {"weights": self.vector.arrays_of(self.vector.values), "optimizer": moments}
        if self.ema is not None:
            groups["ema"] = self.vector.arrays_of(self.ema)
        return groups

    def restore(self, step: int, groups: dict[str, Arrays]) -> None:
        """Take over what `arrays` gave after update number ``step``."""
        self.vector.values.copy_(self.vector.vector_of(groups["weights"]))
        if self.ema is not None:
            self.ema.copy_(self.vector.vector_of(groups["ema"]))
        moments = {name: torch.from_numpy(array.copy()) for name, array in groups["optimizer"].items()}
        self._adam.state[self._leaf] = {
            "step": torch.tensor(float(step)),
            "exp_avg": moments["first_moment"],
            "exp_avg_sq": moments["second_moment"],
        }


def _flags(cause: str | None) -> Tensor:
    return torch.tensor([float(cause == known) for known in CAUSES])


def _cause(flags: Tensor) -> str | None:
    raised = [cause for cause, flag in zip(CAUSES, flags.tolist(), strict=True) if flag]
    return raised[0] if raised else None
