"""The sum of gradients has the same bits however many processes make it."""

from __future__ import annotations

import threading

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from wavenet.training.reduction import own_micro_batches, sum_across, tree_sum
from wavenet.world import World


class Mailboxes:
    """An exchange between threads: what ranks would send over the network."""

    def __init__(self, size):
        self._sent = {(a, b): [] for a in range(size) for b in range(size)}
        self._arrived = threading.Condition()

    def of(self, rank):
        boxes = self

        class Exchange:
            def swap(self, vector, partner):
                with boxes._arrived:
                    boxes._sent[rank, partner].append(vector.clone())
                    boxes._arrived.notify_all()
                    boxes._arrived.wait_for(lambda: boxes._sent[partner, rank], timeout=10)
                    return boxes._sent[partner, rank].pop(0)

        return Exchange()


def sum_with(leaves, size):
    boxes, sums = Mailboxes(size), {}

    def work(rank):
        world = World(rank, size)
        own = tree_sum(own_micro_batches(len(leaves), world), lambda index: leaves[index].clone())
        sums[rank] = sum_across(own, world, boxes.of(rank))

    threads = [threading.Thread(target=work, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [sums[rank] for rank in range(size)]


@pytest.mark.parametrize("num_leaves", [1, 2, 4, 8, 16])
def test_any_number_of_processes_gives_the_same_bits(num_leaves):
    generator = torch.Generator().manual_seed(num_leaves)
    leaves = [torch.randn(50, generator=generator) * 10.0 ** (3 * index % 7) for index in range(num_leaves)]
    alone = sum_with(leaves, 1)[0]
    size = 2
    while size <= num_leaves:
        assert all(torch.equal(other, alone) for other in sum_with(leaves, size))
        size *= 2


def test_another_bracketing_gives_other_bits_so_the_tree_matters():
    generator = torch.Generator().manual_seed(5)
    leaves = [torch.randn(1000, generator=generator) * 10.0**index for index in range(8)]
    in_turn = leaves[0].clone()
    for leaf in leaves[1:]:
        in_turn += leaf
    assert not torch.equal(in_turn, sum_with(leaves, 1)[0])


@given(st.integers(0, 6), st.integers(0, 6))
def test_every_micro_batch_belongs_to_exactly_one_rank(log_leaves, log_size):
    num_leaves, size = 2**log_leaves, 2 ** min(log_size, log_leaves)
    owned = [index for rank in range(size) for index in own_micro_batches(num_leaves, World(rank, size))]
    assert owned == list(range(num_leaves))
