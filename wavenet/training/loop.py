"""Train a run from where it stands to its end, or to the next step border after a stop is asked for."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from wavenet.batches.loader import read_ahead
from wavenet.batches.order import WindowOrder
from wavenet.batches.targets import Batch, make_batch
from wavenet.errors import NumericsError, WavenetError
from wavenet.model.network import WaveNet
from wavenet.shards.index import Dataset, open_dataset
from wavenet.training import determinism
from wavenet.training.job import Outcome, TrainingJob
from wavenet.training.process_group import ProcessGroup, joined
from wavenet.training.recorder import Announce, Recorder
from wavenet.training.reduction import own_micro_batches
from wavenet.training.start import begin, restore
from wavenet.training.step import Optimizer
from wavenet.training.stopping import StopRequest
from wavenet.training.validation import validate


def train(job: TrainingJob, stop: StopRequest, announce: Announce) -> Outcome:
    """Carry the run on from its newest sound checkpoint.

    Args:
        stop: polled at every step; the state is committed before the attempt ends.
        announce: takes the lines of the plain log.

    Raises:
        MismatchError: the run began with another identity.
        NumericsError: the loss is not finite.
        FencedError: a newer attempt owns the run.
        StorageError, InputError, DamagedError: files that cannot be written or read.
        InterruptedRunError: another rank is gone; the run can go on.
    """
    determinism.settle(job.training.threads)
    dataset = open_dataset(job.data)
    model = WaveNet(job.model)
    model.initialise(job.seed)
    model.recompute = job.training.recompute
    optimizer = Optimizer(model, job.training)
    with joined(job.world, job.rendezvous, job.address) as group:
        recorder, checkpoint = begin(job, dataset, group, announce)
        with _recorded_error(recorder):
            attempt = _Attempt(job, dataset, model, optimizer, group, recorder)
            outcome = attempt.run_from(restore(optimizer, checkpoint), stop)
            if recorder is not None:
                outcome = replace(outcome, cause=stop.settled(outcome.cause))
                recorder.end(outcome.cause, outcome.step)
    return outcome


@dataclass(frozen=True)
class _Attempt:
    job: TrainingJob
    dataset: Dataset
    model: WaveNet
    optimizer: Optimizer
    group: ProcessGroup | None
    recorder: Recorder | None

    def run_from(self, done: int, stop: StopRequest) -> Outcome:
        """Make the steps after ``done``."""
        num_steps = self.job.training.num_steps
        for step, batches in enumerate(read_ahead(self._batches(), done, num_steps), done + 1):
            started = time.monotonic()
            result = self.optimizer.step(step, batches.__getitem__, self.job.world, self.group, lambda: stop.cause)
            is_stopping = result.stop_cause is not None
            if self.recorder is not None:
                self.recorder.step(step, result, time.monotonic() - started)
                if not is_stopping:
                    self._validate_if_due(step, self.recorder)
                if is_stopping or self.recorder.clock.is_due(step):
                    self.recorder.commit(step, self.optimizer)
            if result.stop_cause is not None and step < num_steps:
                return Outcome(False, result.stop_cause, step)
        return Outcome(True, "finished", num_steps)

    def _validate_if_due(self, step: int, recorder: Recorder) -> None:
        every = self.job.training.validation_every
        if not every or (step % every and step != self.job.training.num_steps):
            return
        with self.optimizer.averaged():
            result = validate(self.model, self.dataset, self.job.training)
        if result is not None:
            recorder.validation(step, result)

    def _batches(self) -> _Batches:
        training = self.job.training
        order = WindowOrder(
            [clip.length for clip in self.dataset.train],
            window_samples=training.window_samples,
            receptive_field=self.job.model.receptive_field,
            padding_share=training.padding_share,
            seed=self.job.seed,
        )
        return _Batches(self.job, self.dataset, order)


@dataclass(frozen=True)
class _Batches:
    """Called with a position, reads this rank's micro-batches of that batch, by their number."""

    job: TrainingJob
    dataset: Dataset
    order: WindowOrder

    def __call__(self, position: int) -> dict[int, Batch]:
        own = own_micro_batches(self.job.training.micro_batches, self.job.world)
        return {number: self._micro_batch(position, number) for number in own}

    def _micro_batch(self, position: int, number: int) -> Batch:
        training = self.job.training
        first = position * training.batch_size + number * training.micro_batch_size
        return make_batch(
            self.dataset,
            self.dataset.train,
            [self.order.window(index) for index in range(first, first + training.micro_batch_size)],
            window_samples=training.window_samples,
            receptive_field=self.job.model.receptive_field,
        )


@contextlib.contextmanager
def _recorded_error(recorder: Recorder | None) -> Iterator[None]:
    """Write down an error that ends the attempt; that the disk is full for this too must not hide the error."""
    try:
        yield
    except BaseException as error:
        if recorder is not None:
            cause = "nan loss" if isinstance(error, NumericsError) else "crash"
            with contextlib.suppress(WavenetError, OSError, ValueError):
                recorder.end(cause, recorder.committed[-1].step if recorder.committed else 0, str(error))
        raise
