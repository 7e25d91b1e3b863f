"""Train a run from where it stands to its end, or to the next step border after a stop is asked for."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

from wavenet.batches.loader import read_ahead
from wavenet.batches.order import WindowOrder
from wavenet.batches.targets import Batch, make_batch
from wavenet.errors import LostRankError, NumericsError, OutOfMemoryError, WavenetError
from wavenet.model.network import WaveNet
from wavenet.shards.index import Dataset, open_dataset
from wavenet.training import determinism, memory, rank_ends
from wavenet.training.hours import Hours
from wavenet.training.job import Outcome, TrainingJob
from wavenet.training.process_group import ProcessGroup, joined
from wavenet.training.pulse import Pulse
from wavenet.training.rank_ends import RankEnd
from wavenet.training.recorder import Announce, Recorder
from wavenet.training.reduction import own_micro_batches
from wavenet.training.rescue import Rescue
from wavenet.training.start import Beginning, begin, restore
from wavenet.training.step import Optimizer, StepResult
from wavenet.training.stopping import StopRequest
from wavenet.training.stopwatch import Stopwatch
from wavenet.training.validation import validate


def train(job: TrainingJob, stop: StopRequest, announce: Announce) -> Outcome:
    """Carry the run on from its newest sound checkpoint.

    Args:
        stop: polled at every step; the state is committed before the attempt ends. With a deadline that the step would
            overrun, the step before it is committed and the process ends with the exit code of `InterruptedRunError`.
        announce: takes the lines of the plain log.

    Raises:
        MismatchError: the run began with another identity.
        NumericsError: the loss is not finite.
        FencedError: a newer attempt owns the run.
        StorageError, InputError, DamagedError: files that cannot be written or read.
        OutOfMemoryError: this process got no more memory.
        LostRankError: another rank is gone; the run can go on.
    """
    training, watch = job.training, Stopwatch(job.launch.began)
    with (
        Pulse(training.hang_seconds, training.hang_steps) as pulse,
        Rescue(stop, announce, partial(pulse.tell, is_leaving=True)) as rescue,
    ):
        pulse.tell(host=job.owner.host, remedy=memory.REMEDY)
        determinism.settle(training.threads)
        dataset = open_dataset(job.data)
        pulse.beat()
        model = WaveNet(job.model)
        model.initialise(job.seed)
        model.recompute = training.recompute
        optimizer = Optimizer(model, training)
        waiting = partial(pulse.waiting, training.partner_seconds)
        with joined(job.world, job.rendezvous, job.address, training.partner_seconds, waiting) as group:
            beginning = begin(job, dataset, group, announce, watch)
            recorder = beginning.recorder
            rescue.guard(recorder, optimizer, recorder.saved_step if recorder else 0)
            _tell_begun(pulse, job, beginning)
            with _recorded_error(rescue, job, beginning, stop):
                hours = Hours(training.max_hours, job.used_seconds, watch.began)
                attempt = _Attempt(job, dataset, optimizer, group, recorder, rescue, pulse, hours)
                done = restore(optimizer, beginning.checkpoint)
                pulse.beat()
                if recorder is not None:
                    recorder.require_room(job.model)
                    recorder.ready()
                outcome = attempt.run_from(done, stop)
                if recorder is not None:
                    outcome = replace(outcome, cause=stop.settled(outcome.cause))
                    with rescue.writing():
                        recorder.end(outcome.cause, outcome.step)
    return outcome


def _tell_begun(pulse: Pulse, job: TrainingJob, beginning: Beginning) -> None:
    run, rank, attempt = job.run, job.world.rank, beginning.attempt
    end = run.attempt_history(attempt) if job.world.is_first else run.rank_end(attempt, rank)
    pulse.tell(stacks=str(run.stacks(attempt, rank)), end=str(end), rank=rank)
    pulse.beat()


@dataclass(frozen=True)
class _Attempt:
    job: TrainingJob
    dataset: Dataset
    optimizer: Optimizer
    group: ProcessGroup | None
    recorder: Recorder | None
    rescue: Rescue
    pulse: Pulse
    hours: Hours

    def run_from(self, done: int, stop: StopRequest) -> Outcome:
        """Make the steps after ``done``, and the validations that are due, one that a stop has cut short as well."""
        num_steps = self.job.training.num_steps
        self._validate_if_due(done)
        for step, batches in enumerate(read_ahead(self._batches(), done, num_steps), done + 1):
            result = self._make_step(step, batches, stop)
            is_stopping = result.stop_cause is not None
            if not is_stopping:
                self._validate_if_due(step)
            self._commit_if_due(step, is_stopping=is_stopping)
            if result.stop_cause is not None and step < num_steps:
                return Outcome(False, result.stop_cause, step)
        self._validate_if_due(num_steps)
        return Outcome(True, "finished", num_steps)

    def _commit_if_due(self, step: int, *, is_stopping: bool) -> None:
        if self.recorder is not None and (is_stopping or self.recorder.clock.is_due(step)):
            with self.rescue.writing():
                self.recorder.commit(step, self.optimizer)
            self.pulse.beat()

    def _make_step(self, step: int, batches: dict[int, Batch], stop: StopRequest) -> StepResult:
        started = time.monotonic()

        def micro_batch(number: int) -> Batch:
            self.pulse.beat()  # the one before it is computed
            return batches[number]

        def why_stop() -> str | None:
            return stop.poll() or (self.hours.cause() if self.job.world.is_first else None)

        update = self.optimizer.compute(step, micro_batch, self.job.world, self.group, why_stop)
        with self.rescue.finishing(step):
            self.optimizer.apply(update)
            seconds = time.monotonic() - started
            if self.recorder is not None:
                self.recorder.step(step, update.result, seconds)
        self.pulse.step(seconds)
        return update.result

    def _validate_if_due(self, step: int) -> None:
        every, is_last = self.job.training.validation_every, step == self.job.training.num_steps
        if self.recorder is None or step <= self.recorder.validated_step or not every or (step % every and not is_last):
            return
        started = time.monotonic()
        result = validate(self.optimizer.averaged_model, self.dataset, self.job.training, self.pulse.beat)
        if result is not None:
            with self.rescue.writing():
                self.recorder.validation(step, result, time.monotonic() - started)

    def _batches(self) -> _Batches:
        training = self.job.training
        order = WindowOrder(
            [clip.length for clip in self.dataset.train],
            window_samples=training.window_samples,
            receptive_field=self.job.model.receptive_field,
            padding_share=training.padding_share,
            seed=self.job.seed,
        )
        return _Batches(self.job, self.dataset, order, self.pulse)


@dataclass(frozen=True)
class _Batches:
    """Called with a position, reads this rank's micro-batches of that batch, by their number."""

    job: TrainingJob
    dataset: Dataset
    order: WindowOrder
    pulse: Pulse

    def __call__(self, position: int) -> dict[int, Batch]:
        own = own_micro_batches(self.job.training.micro_batches, self.job.world)
        return {number: self._micro_batch(position, number) for number in own}

    def _micro_batch(self, position: int, number: int) -> Batch:
        training = self.job.training
        first = position * training.batch_size + number * training.micro_batch_size
        self.pulse.beat()
        return make_batch(
            self.dataset,
            self.dataset.train,
            [self.order.window(index) for index in range(first, first + training.micro_batch_size)],
            window_samples=training.window_samples,
            receptive_field=self.job.model.receptive_field,
        )


@contextlib.contextmanager
def _recorded_error(rescue: Rescue, job: TrainingJob, beginning: Beginning, stop: StopRequest) -> Iterator[None]:
    """Write down an error that ends the attempt; that the disk is full for this too must not hide the error."""
    try:
        yield
    except LostRankError as error:
        is_told = beginning.recorder is None or stop.cause is not None
        lost = None if is_told else rank_ends.find(job.run, beginning.attempt)
        with rescue.writing(), contextlib.suppress(WavenetError, OSError, ValueError):
            if lost is None:
                rescue.end(stop.cause or "crash", str(error))
            else:
                rescue.end(lost.cause, lost.detail, lost.host)
        raise
    except BaseException as error:
        found = memory.named(error)
        with rescue.writing(), contextlib.suppress(WavenetError, OSError, ValueError):
            _note_end(job, beginning, _cause_of(found), str(found))
        if found is error:
            raise
        raise found from error


def _note_end(job: TrainingJob, beginning: Beginning, cause: str, detail: str) -> None:
    """In the history, or where rank 0 looks for it."""
    if beginning.recorder is None:
        rank_ends.leave(job.run, beginning.attempt, job.world.rank, RankEnd(cause, detail, job.owner.host))
    else:
        beginning.recorder.end(cause, beginning.recorder.saved_step, detail)


def _cause_of(error: BaseException) -> str:
    if isinstance(error, NumericsError):
        return "nan loss"
    return "out of memory" if isinstance(error, OutOfMemoryError) else "crash"
