"""Generation on a GPU: steps launched one by one, and recorded; the same levels, and the logits of the processor."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from tests.benchmarks.measurements import NUM_GENRES, Measurement, preset
from wavenet.generation.config import SamplingConfig
from wavenet.generation.drawing import Drawing, Repeated, Replay, record_cuda_graph
from wavenet.generation.incremental import IncrementalNetwork
from wavenet.generation.queues import floats_per_stream
from wavenet.generation.streams import StreamRequest
from wavenet.generation.uniforms import Uniforms
from wavenet.model.config import ModelConfig
from wavenet.model.network import WaveNet

STREAMS = (1, 16, 256, 1024, 4096, 16384)
MEMORY_SHARE = 0.5
BLOCKS = 8
SAMPLE_RATE = 16_000


def _network(config: ModelConfig, device: torch.device, num_streams: int) -> IncrementalNetwork:
    model = WaveNet(config)
    model.initialise(0)
    condition = torch.arange(num_streams, device=device) % NUM_GENRES
    return IncrementalNetwork(model.to(device), condition, num_streams)


class _Streams:
    """Streams of one batch, drawn block by block."""

    def __init__(
        self,
        config: ModelConfig,
        device: torch.device,
        num_streams: int,
        record: Callable[[Callable[[], None]], Replay] | None,
    ) -> None:
        network = _network(config, device, num_streams)
        newest = torch.full((num_streams,), config.silence_level, device=device)
        self.drawing = Drawing(network, newest, SamplingConfig(), network.period)
        self._advance = (self.drawing if record is None else Repeated(self.drawing, record)).advance
        self._uniforms = Uniforms([StreamRequest(0, 0, index) for index in range(num_streams)], device)
        self._drawn = 0

    def block(self) -> tuple[float, Tensor]:
        """Seconds of one block, and its levels."""
        started = time.perf_counter()
        count = len(self.drawing.levels)
        self.drawing.uniforms[:] = self._uniforms.of(self._drawn, count)
        self._advance(count)
        self._drawn += count
        levels = self.drawing.levels.cpu()  # waits for the device
        return time.perf_counter() - started, levels


@torch.inference_mode()
def measure(
    config: ModelConfig, device: torch.device, num_streams: int, record: Callable[[Callable[[], None]], Replay]
) -> Iterator[Measurement]:
    """One batch: its rate step by step and recorded, which is checked to draw the same."""
    what = f"generation on a GPU, {num_streams} streams"
    plain, recorded = _Streams(config, device, num_streams, None), _Streams(config, device, num_streams, record)
    launched = min(plain.block()[0] for _ in range(3))
    del plain
    recorded.block()
    recording, _ = recorded.block()
    drawn = num_streams * len(recorded.drawing.levels)
    rate = drawn / min(recorded.block()[0] for _ in range(BLOCKS))
    yield Measurement(f"{what}, launched step by step", drawn / launched, "samples/s")
    yield Measurement(f"{what}, recorded", rate, "samples/s")
    yield Measurement(f"{what}, recorded, of real time", rate / SAMPLE_RATE, "x")
    yield Measurement(f"{what}, seconds to record", recording, "s")


@torch.inference_mode()
def require_equal(
    config: ModelConfig, device: torch.device, record: Callable[[Callable[[], None]], Replay]
) -> Iterator[Measurement]:
    """Recorded levels are those of single steps; forced logits are the processor's, to float32 rounding."""
    plain, recorded = _Streams(config, device, 16, None), _Streams(config, device, 16, record)
    for block in range(4):
        if not torch.equal(plain.block()[1], recorded.block()[1]):
            sys.exit(f"block {block} differs: what was recorded is not what was drawn step by step")
    here, there = (_network(config, torch.device(each), 16) for each in ("cpu", device))
    levels = recorded.drawing.levels.cpu()[:, :, 0]
    worst = torch.tensor(0.0)
    for row in levels:
        expected = here.step(row)
        worst = torch.maximum(worst, (there.step(row.to(device)).cpu() - expected).abs().max() / expected.abs().max())
    yield Measurement("logits on a GPU, furthest from the processor's", worst.item(), "of the largest")


def on_gpu() -> Iterator[Measurement]:
    """The reference with as many streams as half the memory holds."""
    if not torch.cuda.is_available():
        print("generation-gpu: left out, torch sees no GPU", file=sys.stderr)
        return
    config, device = preset("reference"), torch.device("cuda")
    yield from require_equal(config, device, record_cuda_graph)
    for num_streams in STREAMS:
        if 4 * num_streams * floats_per_stream(config) > MEMORY_SHARE * torch.cuda.mem_get_info()[0] / 2:
            break
        yield from measure(config, device, num_streams, record_cuda_graph)


ALL: dict[str, Callable[[], Iterator[Measurement]]] = {"generation-gpu": on_gpu}
