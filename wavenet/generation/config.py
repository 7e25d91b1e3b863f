"""What is to be generated and how levels are drawn. Plain values; no torch at import."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass

from wavenet.errors import UsageError
from wavenet.settings import key


class Precision(enum.Enum):
    """What the native kernel computes with."""

    float32 = "float32"
    int16 = "int16"
    """Weights rounded to integers of 16 bits times a scale for each output; sums and inputs are float32."""
    fixed = "fixed"
    """Weights and the inputs of every product are integers of 16 bits times a common scale, their sums exact."""


_SUFFIXES = {Precision.int16: "_int16", Precision.fixed: "_fixed"}


class Weights(enum.Enum):
    """Which of a checkpoint's weights make the audio."""

    ema = "ema"
    """Their running average; where a checkpoint keeps none, the raw ones."""
    raw = "raw"


class Priming(enum.Enum):
    """What fills the receptive field before the first draw."""

    silence = "silence"
    continuation = "continuation"
    """An excerpt of a held-out recording of the class."""


class Variant(enum.Enum):
    """What computes the logits: variants differ in their last bits, and with them now and then in a level.

    In the order in which `auto` prefers them.
    """

    auto = "auto"
    """The first that the machine can run."""
    avx512_fixed = "avx512_fixed"
    avx2_fixed = "avx2_fixed"
    """The native kernel in fixed point of 16 bits, which computes twice as much at a time."""
    avx512_int16 = "avx512_int16"
    avx2_int16 = "avx2_int16"
    neon_int16 = "neon_int16"
    """The native kernel with weights rounded to 16 bits, which takes half the time to read."""
    avx512 = "avx512"
    avx2 = "avx2"
    neon = "neon"
    """Of float32; neon is any 64-bit ARM processor."""
    portable = "portable"
    portable_int16 = "portable_int16"
    """For any x86-64 processor."""
    torch = "torch"
    cuda = "cuda"
    """By torch, on a GPU, thousands of streams at once; chosen by hand only, together with the GPU."""

    @property
    def precision(self) -> Precision:
        """What it computes with."""
        return next((each for each, end in _SUFFIXES.items() if self.value.endswith(end)), Precision.float32)

    @property
    def instructions(self) -> str:
        """What the native kernel calls the variant that computes: only rounded weights are data, not code."""
        return self.value.removesuffix(_SUFFIXES[Precision.int16])


@dataclass(frozen=True)
class SamplingConfig:
    """How a level is drawn from its distribution.

    Args:
        temperature: logits are divided by it; > 0. Below 1 likely levels become likelier.
        top_k: draw among the k likeliest levels (and those as likely as the k-th); 0: among all.
        top_p: draw among the fewest likeliest levels that hold this share of probability; 1: among all.

    Raises:
        UsageError: a value outside its range.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.temperature < math.inf:
            raise UsageError(f"generate.temperature must be a number above 0, got {self.temperature}")
        if self.top_k < 0:
            raise UsageError(f"generate.top_k must be at least 1, or 0 for all levels, got {self.top_k}")
        if not 0 < self.top_p <= 1:
            raise UsageError(f"generate.top_p must be above 0 and at most 1, got {self.top_p}")


@dataclass(frozen=True)
class GenerationConfig:
    """Which clips are generated: classes × checkpoints × primings × clips per pair.

    Raises:
        UsageError: a value outside its range, in one sentence that names key, rule and value.
    """

    seconds: float = key(30.0, "generated seconds per clip, without the excerpt of a continuation")
    temperature: float = key(1.0, "logits are divided by it; below 1 likely levels become likelier")
    top_k: int = key(0, "draw among the k likeliest levels only; 0: among all")
    top_p: float = key(1.0, "draw among the fewest levels that hold this share of probability; 1: among all")
    clips_per_pair: int = key(1, "clips of each priming per pair of class and checkpoint")
    weights: Weights = key(Weights.ema, "averaged weights (raw ones where there are none), or raw ones")
    primings: tuple[Priming, ...] = key(
        (Priming.silence, Priming.continuation), "start from silence, from a held-out recording, or from each"
    )
    excerpt_seconds: float = key(1.0, "seconds of the recording that a continuation's file begins with")
    checkpoints: tuple[int, ...] = key((), "steps of the checkpoints to use; empty: see every and evenly")
    every: int = key(0, "use every n-th checkpoint, counted back from the newest; 0: see evenly")
    evenly: int = key(4, "use so many checkpoints spread evenly over the steps, first and newest included")
    classes: tuple[int, ...] = key((), "class ids; empty: all")
    variant: Variant = key(
        Variant.auto,
        "what computes, the same on every machine; auto: the fastest; all but fixed and int16 are float32",
    )
    threads: int = key(0, "threads of a task; 0: one for each core that it is given")
    save_seconds: float = key(30.0, "how often a clip in progress is kept, for a task that is killed; 0: all the time")

    def __post_init__(self) -> None:
        for name in ("primings", "checkpoints", "classes"):
            object.__setattr__(self, name, tuple(getattr(self, name)))  # a configuration file brings lists
        _ = self.sampling
        if not 0 < self.seconds < math.inf:
            raise UsageError(f"generate.seconds must be a number above 0, got {self.seconds}")
        if not 0 < self.excerpt_seconds < math.inf:
            raise UsageError(f"generate.excerpt_seconds must be a number above 0, got {self.excerpt_seconds}")
        for name, least in (("clips_per_pair", 1), ("every", 0), ("evenly", 1), ("threads", 0), ("save_seconds", 0)):
            if not getattr(self, name) >= least:
                raise UsageError(f"generate.{name} must be at least {least}, got {getattr(self, name)}")
        if not self.primings:
            valid = ", ".join(priming.value for priming in Priming)
            raise UsageError(f"generate.primings must name at least one of {valid}, got an empty list")
        for name in ("primings", "checkpoints", "classes"):
            values = getattr(self, name)
            if len(set(values)) < len(values):
                raise UsageError(f"generate.{name} must name each value once, got {list(values)}")

    @property
    def sampling(self) -> SamplingConfig:
        return SamplingConfig(self.temperature, self.top_k, self.top_p)
