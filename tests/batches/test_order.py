"""The order of windows is a stateless permutation that covers every clip."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from wavenet.batches.order import WindowOrder, permuted


@given(size=st.integers(1, 3000), key=st.integers(0, 2**64 - 1), epoch=st.integers(0, 1000))
def test_an_epoch_visits_every_slot_exactly_once(size, key, epoch):
    images = permuted(np.arange(size), np.full(size, epoch), size, key)
    assert sorted(images) == list(range(size))


def test_epochs_and_seeds_have_orders_of_their_own():
    positions = np.arange(500)
    orders = {tuple(permuted(positions, np.full(500, epoch), 500, key)) for epoch in range(4) for key in (1, 2)}
    assert len(orders) == 8


lengths = st.lists(st.integers(1, 5000), min_size=1, max_size=12)


def make_order(clip_lengths, *, window=100, receptive_field=64, padding_share=0.25, seed=3):
    return WindowOrder(
        clip_lengths, window_samples=window, receptive_field=receptive_field, padding_share=padding_share, seed=seed
    )


@given(lengths, st.integers(1, 400), st.integers(2, 600))
def test_every_window_lies_inside_its_clip(clip_lengths, window, receptive_field):
    order = make_order(clip_lengths, window=window, receptive_field=receptive_field)
    for index in range(50):
        found = order.window(index)
        assert 0 <= found.first_target <= max(0, clip_lengths[found.clip] - window)


@given(lengths, st.integers(0, 5000))
def test_a_window_depends_on_its_index_alone(clip_lengths, index):
    wandering, fresh = make_order(clip_lengths), make_order(clip_lengths)
    for other in (0, index + 3000, index // 2):
        wandering.window(other)
    assert wandering.window(index) == fresh.window(index)


def test_an_epoch_takes_each_clip_in_proportion_to_its_length():
    order = make_order([1000, 250, 4000])
    clips = Counter(order.window(index).clip for index in range(order.windows_per_epoch))
    assert clips == {0: 10, 1: 2, 2: 40}


def test_an_epoch_without_padding_covers_nearly_every_sample():
    order = make_order([20_000], padding_share=0.0)
    seen = np.zeros(20_000, bool)
    for index in range(order.windows_per_epoch):
        start = order.window(index).first_target
        seen[start : start + 100] = True
    assert seen.mean() > 0.98


def test_the_stated_share_of_windows_begins_inside_the_left_padding():
    order = make_order([1_000_000], window=100, receptive_field=50, padding_share=0.1)
    share = np.mean([order.window(index).first_target == 0 for index in range(10_000)])
    assert abs(share - 0.1) < 0.01
