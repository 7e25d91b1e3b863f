"""Settings outside their range are refused by name."""

from __future__ import annotations

import itertools

import pytest

from wavenet.errors import MismatchError, UsageError
from wavenet.model.config import ModelConfig
from wavenet.training.config import Schedule, TrainingConfig
from wavenet.training.identity import identity_of, require_same
from wavenet.training.recorder import CheckpointClock
from wavenet.training.step import learning_rate
from wavenet.training.stopping import StopRequest


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_steps", 0),
        ("micro_batches", 3),
        ("padding_share", 1.5),
        ("learning_rate", 0.0),
        ("ema_decay", 1.0),
        ("processes", 3),
        ("processes", 8),
        ("keep_newest", -1),
        ("checkpoint_steps", (0,)),
    ],
)
def test_a_value_outside_its_range_is_refused_with_key_rule_and_value(name, value):
    with pytest.raises(UsageError, match=rf"training\.{name} must be .*, got"):
        TrainingConfig(**{name: value})


def test_the_learning_rate_warms_up_and_follows_the_cosine_to_its_end():
    config = TrainingConfig(num_steps=100, warmup_steps=10, learning_rate=1.0, final_learning_rate_share=0.1)
    rates = [learning_rate(step, config) for step in range(1, 101)]
    assert rates[:10] == pytest.approx([step / 10 for step in range(1, 11)])
    assert all(later <= earlier for earlier, later in itertools.pairwise(rates[9:]))
    assert rates[-1] == pytest.approx(0.1)


def test_a_constant_schedule_without_warm_up_never_moves():
    config = TrainingConfig(schedule=Schedule.constant, warmup_steps=0, learning_rate=0.5)
    assert {learning_rate(step, config) for step in (1, 10, 5000)} == {0.5}


def test_a_checkpoint_is_due_at_chosen_steps_at_multiples_and_by_the_clock():
    now = [0.0]
    config = TrainingConfig(
        num_steps=1000, checkpoint_every=100, checkpoint_seconds=60, checkpoint_steps=(7,), spread_checkpoints=3
    )
    clock = CheckpointClock(config, lambda: now[0])
    assert [step for step in range(1, 1001) if clock.is_due(step)] == sorted({7, 333, 666, *range(100, 1001, 100)})
    now[0] = 60.0
    assert clock.is_due(8)
    clock.restart(0.2)
    assert not clock.is_due(8)


def test_the_first_cause_of_a_stop_is_kept():
    stop = StopRequest()
    assert stop.cause is None
    stop.request("preemption")
    stop.request("user")
    assert stop.cause == "preemption"


def identity(**changes):
    training = TrainingConfig(**changes)
    return identity_of(model=ModelConfig(), training=training, seed=1, data_digest="d", numerics={"torch": "2"})


def test_another_identity_is_refused_with_both_values_and_the_key_that_accepts_it():
    with pytest.raises(MismatchError, match=r"training\.threads was 1 and is 2.*'accept=\[training\.threads\]'"):
        require_same("rock", identity(), identity(threads=2), [])


def test_an_accepted_difference_is_reported():
    assert require_same("rock", identity(), identity(threads=2), ["training.threads"]) == ["training.threads"]


def test_what_changes_no_bit_is_no_part_of_the_identity():
    before = identity()
    assert identity(processes=4, recompute=True, validation_every=3, keep_newest=9, checkpoint_seconds=1.0) == before


def test_the_number_of_steps_may_grow_only_where_the_schedule_does_not_depend_on_it():
    assert identity(num_steps=10) != identity(num_steps=20)
    constant = {"schedule": Schedule.constant}
    assert identity(num_steps=10, **constant) == identity(num_steps=20, **constant)


@pytest.mark.parametrize(
    ("stalls", "interval"),
    [([], 300), ([0.1], 300), ([3.0], 600), ([1.0, 3.0, 8.0], 800), ([100.0], 3600), ([900.0] * 3 + [2.0] * 8, 400)],
)
def test_checkpoints_by_the_clock_come_so_seldom_that_they_take_half_a_percent_of_the_time(stalls, interval):
    """Of what the last eight cost, within five minutes and an hour."""
    clock = CheckpointClock(TrainingConfig(), stalls=[])
    for stall in stalls:
        clock.restart(stall)
    assert clock.interval == pytest.approx(interval)
    assert CheckpointClock(TrainingConfig(), stalls=stalls).interval == clock.interval


def test_the_interval_that_is_typed_is_kept_where_commits_are_quick():
    typed = TrainingConfig(checkpoint_seconds=7200.0)
    assert CheckpointClock(typed, stalls=[1.0]).interval == 7200
    assert CheckpointClock(TrainingConfig(checkpoint_seconds=0.0), stalls=[1.0]).interval is None
