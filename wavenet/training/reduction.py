"""Sum the micro-batches' gradients along one fixed binary tree.

Floating-point addition is not associative, so a sum depends on its bracketing. Here the bracketing is that of a
balanced binary tree over the M micro-batches, whoever computes them: a process sums the subtree of its own
micro-batches, then processes exchange and add whole subtrees. a + b and b + a have the same bits, so it does not matter
which of two partners is "left", and any power of two of processes up to M gives the same vector.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from torch import Tensor

from wavenet.world import World


class Exchange(Protocol):
    """How two processes swap vectors."""

    def swap(self, vector: Tensor, partner: int) -> Tensor:
        """Send ``vector`` to rank ``partner`` and return the one of equal shape that it sent."""


def own_micro_batches(num_micro_batches: int, world: World) -> range:
    """The consecutive micro-batches, a whole subtree, that ``world.rank`` computes."""
    share = num_micro_batches // world.size
    return range(world.rank * share, (world.rank + 1) * share)


def tree_sum(leaves: range, leaf: Callable[[int], Tensor]) -> Tensor:
    """Sum of ``leaf(i)`` over ``leaves`` (a power of two of them), bracketed as a balanced binary tree.

    Depth first, so that no more than log2(M) + 1 vectors are held at a time.
    """
    if len(leaves) == 1:
        return leaf(leaves[0])
    middle = len(leaves) // 2
    left = tree_sum(leaves[:middle], leaf)
    return left.add_(tree_sum(leaves[middle:], leaf))


def sum_across(vector: Tensor, world: World, exchange: Exchange | None) -> Tensor:
    """Add the subtrees of all processes; every process returns the same bits."""
    distance = 1
    while distance < world.size:
        assert exchange is not None, "several processes need an exchange"  # noqa: S101 — a caller's fault, not a user's
        vector = vector + exchange.swap(vector, world.rank ^ distance)
        distance *= 2
    return vector
