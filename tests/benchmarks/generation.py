"""The speed of generation, as shares of what the processor could do in the same run.

Rates count the processor time of the working thread, in slices in which the things that are compared take turns:
other programs on the machine disturb them little, and all alike. Every rate is the median of its slices, every ratio
that of the two medians printed beside it.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from tests.benchmarks.measurements import NUM_GENRES, Measurement, preset
from tests.benchmarks.textbook import TextbookNetwork
from wavenet.generation.config import SamplingConfig, Variant
from wavenet.generation.incremental import IncrementalNetwork
from wavenet.generation.native.library import Library, find_library
from wavenet.generation.native.packing import PackedModel
from wavenet.generation.native.streams import Kernel, Stream, new_streams
from wavenet.generation.sampler import Sampler
from wavenet.generation.streams import StreamRequest
from wavenet.generation.variants import choose, runnable
from wavenet.model.arrays import initial_arrays
from wavenet.model.config import ModelConfig
from wavenet.model.network import WaveNet

REPETITIONS = 20
SLICE_SECONDS = 0.1
"""`draw_all` takes such slices too: what a call costs (draws, biases laid side by side) is a hundredth of it."""
PEAK_ROUNDS = 1_000_000
TORCH_SAMPLES = 16
STREAMS = (1, 2, 4, 5, 8, 10, 16, 32)
WIDTHS = (16, 24, 32, 48, 64, 96, 128)
PRESETS = ("tiny", "reference", "paper", "music")
MOST_RING_BYTES = 1 << 28


def _library() -> Library:
    library = find_library()
    if library is None:
        sys.exit("the native kernel is not built; python -m wavenet.generation.native.build says why")
    return library


def _products(config: ModelConfig) -> int:
    """Multiply-adds of one sample of one stream, as far as they depend on it."""
    r, d, s = config.residual_channels, config.dilation_channels, config.skip_channels
    a_layer = config.kernel_size * r * 2 * d + d * s
    return config.num_layers * a_layer + (config.num_layers - 1) * d * r + s * s + s * config.num_levels


def _taken(work: Callable[[], object]) -> float:
    started = time.thread_time()
    work()
    return time.thread_time() - started


class Native:
    """A model in the kernel's hands, and the peak of the same instructions."""

    def __init__(self, config: ModelConfig, variant: Variant | None = None) -> None:
        library = _library()
        chosen = variant or choose(Variant.auto)
        self.variant = chosen.value
        model = PackedModel(config, initial_arrays(config, 0), chosen.precision)
        self.kernel = Kernel(library, chosen.instructions, model)
        self.products = _products(config)
        self._peak = lambda: library.functions["peak"](library.runnable[chosen.instructions], PEAK_ROUNDS)

    def peak_rate(self) -> float:
        """Multiply-adds per second of a loop in registers."""
        started = time.thread_time()
        done: float = self._peak()
        return done / (time.thread_time() - started)

    def slices(self, num_streams: int, seconds: float = SLICE_SECONDS) -> tuple[list[Stream], int]:
        """Started streams, and how many samples of theirs take about ``seconds``; there are enough for all."""
        fitting = seconds * 25e9 / self.products / max(3, num_streams)
        count = max(2, int(fitting))
        requests = [StreamRequest(index % NUM_GENRES, 0, index) for index in range(num_streams)]
        streams = new_streams(self.kernel.model, requests, count * (3 * REPETITIONS + 1))
        self.kernel.start(streams)
        self.kernel.draw(streams, count, SamplingConfig())
        return streams, count

    def rates(self, num_streams: int) -> tuple[float, float]:
        """Samples per second of all streams together, and the share of the peak."""
        streams, count = self.slices(num_streams)
        rates, peaks = [], []
        for _ in range(REPETITIONS):
            taken = _taken(lambda: self.kernel.draw(streams, count, SamplingConfig()))
            rates.append(num_streams * count / taken)
            peaks.append(self.peak_rate())
        rate = statistics.median(rates)
        return rate, rate * self.products / statistics.median(peaks)


class Torch:
    """One stream by torch on one thread, from a level through the network to the drawn next one, without priming."""

    def __init__(self, config: ModelConfig, network: Callable[[WaveNet, Tensor], Callable[[Tensor], Tensor]]) -> None:
        torch.set_num_threads(1)
        model = WaveNet(config)
        model.initialise(0)
        with torch.inference_mode():
            self._step = network(model, torch.zeros(1, dtype=torch.int64))
            self._levels = torch.full((1, 1), config.silence_level)
            self._uniforms = torch.full((1, 1), 0.5)
            self._sampler = Sampler(SamplingConfig(), self._step(self._levels[:, 0]))
        self.draw(2 * TORCH_SAMPLES)

    @torch.inference_mode()
    def draw(self, num_samples: int = TORCH_SAMPLES) -> None:
        """Move the stream on."""
        for _ in range(num_samples):
            self._sampler.draw(self._step(self._levels[:, 0]), self._uniforms, self._levels)


def against_torch() -> Iterator[Measurement]:
    """One stream of the reference, one core: the kernel's variants and two ways to do it by torch, in turns."""
    config = preset("reference")
    by_torch = {
        "torch as textbooks have it": Torch(config, lambda model, condition: TextbookNetwork(model, condition).step),
        "torch": Torch(config, lambda model, condition: IncrementalNetwork(model, condition, 1).step),
    }
    natives = [Native(config, variant) for variant in runnable() if variant is not Variant.torch]
    prepared = [native.slices(1) for native in natives]
    rates: dict[str, list[float]] = defaultdict(list)
    for _ in range(REPETITIONS):
        for name, network in by_torch.items():
            rates[name].append(TORCH_SAMPLES / _taken(network.draw))
        for native, (streams, count) in zip(natives, prepared, strict=True):
            taken = _taken(partial(native.kernel.draw, streams, count, SamplingConfig()))
            rates[native.variant].append(count / taken)
    medians = {name: statistics.median(found) for name, found in rates.items()}
    for name, rate in medians.items():
        what = f"generation, reference, 1 stream, {name}"
        yield Measurement(what, rate, "samples/s")
        if name not in by_torch:
            for other in by_torch:
                yield Measurement(f"{what} over {other}", rate / medians[other], "x")


def shares() -> Iterator[Measurement]:
    """Every preset with 1 to 32 streams on one core: rate, and share of the peak of the same instructions."""
    for name in PRESETS:
        yield from _table(name, Native(preset(name)), STREAMS)
    for variant in runnable():
        if variant in (choose(Variant.auto), Variant.torch):
            continue
        yield from _table("reference", Native(preset("reference"), variant), STREAMS)


def widths() -> Iterator[Measurement]:
    """The reference with other residual and dilation widths: a cliff would show."""
    reference = preset("reference")
    for width in WIDTHS:
        config = replace(reference, residual_channels=width, dilation_channels=width)
        yield from _table(f"width {width}", Native(config), (1, 2, 4, 8, 16, 32))


def _table(name: str, native: Native, numbers: Sequence[int]) -> Iterator[Measurement]:
    for num_streams in numbers:
        if num_streams * native.kernel.model.ring_floats * 4 > MOST_RING_BYTES:
            continue
        rate, share = native.rates(num_streams)
        what = f"generation, {name}, {num_streams} streams, {native.variant}"
        yield Measurement(what, rate, "samples/s")
        yield Measurement(f"{what}, of its peak", 100 * share, "%")


def two_cores() -> Iterator[Measurement]:
    """16 streams of the reference on two threads against one, by the clock, beside the same for the peak."""
    native = Native(preset("reference"))
    streams, count = native.slices(16, 4 * SLICE_SECONDS)
    halves = [streams[:8], streams[8:]]
    ratios, peaks = [], []
    with ThreadPoolExecutor(2) as pool:

        def clock(work: Callable[[int], object], threads: int) -> float:
            started = time.perf_counter()
            list(pool.map(work, range(threads)))
            return time.perf_counter() - started

        for _ in range(REPETITIONS):
            one = sum(
                clock(lambda _, part=part: native.kernel.draw(part, count, SamplingConfig()), 1) for part in halves
            )
            two = clock(lambda part: native.kernel.draw(halves[part], count, SamplingConfig()), 2)
            ratios.append(one / two)
            peaks.append(2 * clock(lambda _: native._peak(), 1) / clock(lambda _: native._peak(), 2))
    yield Measurement("generation, reference, 16 streams, 2 threads over 1", statistics.median(ratios), "x")
    yield Measurement("register-only multiply-adds, 2 threads over 1", statistics.median(peaks), "x")


_TASK = """
import time
started = time.perf_counter()
import sys
from pathlib import Path
from jobs.work import tasks
from wavenet.generation.native.batch import generate_levels
from wavenet.generation.native.library import find_library
from wavenet.generation.native.streams import Kernel
from wavenet.generation.restore import restore_packed
from wavenet.generation.config import Weights
from wavenet.generation.streams import StreamRequest
import wavenet.generation.clips
library = find_library()
kernel = Kernel(library, next(iter(library.runnable)), restore_packed(Path(sys.argv[1]), Weights.raw))
first = []
generate_levels(kernel, [StreamRequest(i % 5, 0, i) for i in range(16)], 100,
                progress=lambda *at: first or first.append(time.perf_counter()))
assert "torch" not in sys.modules
# Not getrusage: its maximum begins with what this process was while it was still a copy of its parent.
(peak,) = [line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
print(first[0] - started, int(peak) / 1024)
"""


def start_up() -> Iterator[Measurement]:
    """A new process like an array task's, 16 streams of the reference: until the first samples, and its memory."""
    import tempfile
    from pathlib import Path

    from wavenet.checkpoint.state import write_checkpoint

    config = preset("reference")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "step-00000000"
        write_checkpoint(path, {"model": config.to_dict()}, {"weights": initial_arrays(config, 0)})
        found = []
        for _ in range(5):
            command = [sys.executable, "-c", _TASK, str(path)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found.append([float(word) for word in done.stdout.split()])
    seconds, megabytes = (statistics.median(values) for values in zip(*found, strict=True))
    yield Measurement("array task, from its start to its first samples", seconds, "s")
    yield Measurement("array task, 16 streams of the reference, peak memory", megabytes, "MiB")


ALL: dict[str, Callable[[], Iterator[Measurement]]] = {
    "generation": against_torch,
    "generation-shares": shares,
    "generation-widths": widths,
    "generation-cores": two_cores,
    "generation-start": start_up,
}
