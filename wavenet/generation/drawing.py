"""Streams moved on by a block of samples at a time, by torch, in tensors that stay where they are.

On a GPU a sample's hundred and more kernels take less time than their launches. So there one block is recorded, as a
graph, and the others repeat it: nothing in a block depends on a value that Python sees, and after a whole number of the
network's periods every step meets the same tensors again.

Shapes: ``B`` streams, ``T`` samples of a block, ``Q`` levels.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from wavenet.generation.config import SamplingConfig
from wavenet.generation.incremental import IncrementalNetwork
from wavenet.generation.sampler import Sampler

Replay = Callable[[], None]
"""Does on the device once more what was recorded, with what its tensors hold now."""


class Drawing:
    """Streams and the levels that they draw, block by block.

    Attributes:
        uniforms: (T, B, 1) float32 in [0, 1), to be filled before each block.
        levels: (T, B, 1) int64, what the last block drew.
    """

    def __init__(
        self, network: IncrementalNetwork, newest: Tensor, sampling: SamplingConfig, most_samples: int
    ) -> None:
        """``newest``: (B,) every stream's last level. ``most_samples``: T, a multiple of the network's period."""
        if most_samples % network.period:
            raise ValueError(f"a block must be a multiple of {network.period} samples, got {most_samples}")
        self._network, self._newest = network, newest
        self._sampler = Sampler(sampling, network.logits)
        self.uniforms = newest.new_zeros(most_samples, len(newest), 1, dtype=torch.float32)
        self.levels = newest.new_zeros(most_samples, len(newest), 1)
        self._rows = list(zip(self.uniforms.unbind(0), self.levels.unbind(0), strict=True))

    def advance(self, num_samples: int) -> None:
        """Draw a block; one of fewer than ``most_samples`` has to be the last."""
        newest = self._newest
        for uniforms, drawn in self._rows[:num_samples]:
            self._sampler.draw(self._network.step(newest), uniforms, drawn)
            newest = drawn[:, 0]
        self._newest = newest  # in ``levels``: the next block reads it before it writes there


class Repeated:
    """A `Drawing` whose second whole block is recorded, and repeated from then on.

    The first is drawn step by step: what libraries do once (choose kernels, allocate) cannot be recorded.

    Args:
        record: notes what a function does to the device without doing it; gives what does it.
    """

    def __init__(self, drawing: Drawing, record: Callable[[Callable[[], None]], Replay]) -> None:
        self._drawing, self._record = drawing, record
        self._is_warm = False
        self._replay: Replay | None = None

    def advance(self, num_samples: int) -> None:
        """As `Drawing.advance`."""
        whole = len(self._drawing.levels)
        if not self._is_warm or num_samples < whole:
            self._drawing.advance(num_samples)
            self._is_warm = True
            return
        if self._replay is None:
            self._replay = self._record(lambda: self._drawing.advance(whole))
        self._replay()


def record_cuda_graph(work: Callable[[], None]) -> Replay:
    """Record ``work`` as a CUDA graph; other threads may go on using the device."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        work()
    replay: Replay = graph.replay
    return replay
