"""The state of streams in the kernel's hands, and the calls that move them on.

All that decides a stream's future is in its own state, so streams may be grouped, split among threads and taken out of
one process into another at any sample. Letters as in network.h.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wavenet.generation.config import SamplingConfig
from wavenet.generation.native.library import MOST_TAPS, Library, SamplingFields, StreamFields, TeamFields, aligned
from wavenet.generation.native.packing import PackedModel
from wavenet.generation.streams import StreamRequest, left_padded

_LINE_FLOATS = 16
_STAGGER_FLOATS = 5 * _LINE_FLOATS
"""Between one stream's memory and the next: at equal distances from page boundaries all rows of all streams would fall
into the same few places of the cache."""


def new_streams(model: PackedModel, requests: Sequence[StreamRequest], num_samples: int) -> list[Stream]:
    """A `Stream` of ``num_samples`` levels for each request, all in one piece of memory: it gets large pages."""
    stride = -(-Stream.num_floats(model) // _LINE_FLOATS) * _LINE_FLOATS + _STAGGER_FLOATS
    memory = aligned(4 * stride * len(requests)).view(np.float32).reshape(len(requests), stride)
    return [Stream(model, request, num_samples, row) for request, row in zip(requests, memory, strict=True)]


class Stream:
    """One stream: its past in every layer, and the levels drawn so far.

    Args:
        model: whose weights it is moved on with.
        request: its condition, draws and priming.
        num_samples: levels to be drawn in all.
        memory: zeros, at least `num_floats` of them, for this stream alone.

    Attributes:
        levels: (num_samples,) uint8; those from ``num_drawn`` on are not drawn yet.
        fields: what the kernel is given, and moves on in place: whenever Python runs, the state is whole.
    """

    def __init__(
        self, model: PackedModel, request: StreamRequest, num_samples: int, memory: NDArray[np.float32]
    ) -> None:
        self.request = request
        self.levels = np.zeros(num_samples, np.uint8)
        self._rings, bias = memory[: model.ring_floats], memory[model.ring_floats : self.num_floats(model)]
        bias[:] = model.bias_rows(request.condition).ravel()
        self.fields = StreamFields(
            rings=self._rings.ctypes.data,
            bias=bias.ctypes.data,
            levels=self.levels.ctypes.data,
            recent=(ctypes.c_uint8 * MOST_TAPS)(*[model.config.silence_level] * MOST_TAPS),
        )

    @staticmethod
    def num_floats(model: PackedModel) -> int:
        """Size of a stream's memory."""
        return model.ring_floats + model.bias_floats

    @property
    def num_drawn(self) -> int:
        """How many levels are drawn."""
        return int(self.fields.num_drawn)

    def is_done(self) -> bool:
        """Whether all its levels are drawn."""
        return self.num_drawn == len(self.levels)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """A copy of all that `load_arrays` needs to go on from here, on any machine that runs the same variant."""
        return {
            "rings": self._rings.copy(),
            "num_taken": np.array(self.fields.num_taken, np.int64),
            "recent": np.array(list(self.fields.recent), np.uint8),
            "levels": self.levels[: self.num_drawn].copy(),
        }

    def load_arrays(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Go on from where `to_arrays` was called on a stream of the same model and request.

        Raises:
            ValueError: the arrays are of another model or of a longer stream.
        """
        levels, recent = arrays["levels"], arrays["recent"]
        if arrays["rings"].shape != self._rings.shape or len(levels) > len(self.levels) or len(recent) != MOST_TAPS:
            raise ValueError("this state is of another model or of a longer stream")
        self._rings[:] = arrays["rings"]
        self.levels[: len(levels)] = levels
        self.fields.num_drawn = len(levels)
        self.fields.num_taken = int(arrays["num_taken"])
        self.fields.recent[:] = [int(level) for level in recent]


class Team:
    """Threads that draw together, each some outputs of the same products; for one call of `Kernel.draw`."""

    def __init__(self, helping: Callable[[TeamFields, int], None], size: int) -> None:
        self.fields = TeamFields(size=size)
        self._helping = helping

    def help(self, number: int) -> None:
        """Be the member of this number, from 1 to ``size`` − 1, until all is drawn."""
        self._helping(self.fields, number)

    def dismiss(self) -> None:
        """Let nobody wait for what will not come: the kernel was not called, or has done so itself."""
        self.fields.num_posted = -1


class Kernel:
    """One variant of the library with one model; may be used by several threads, each with streams of its own.

    Args:
        library: as found.
        variant: one of ``library.runnable``.
        model: the packed weights.

    Raises:
        ValueError: they are packed for another kind of variant.
    """

    def __init__(self, library: Library, variant: str, model: PackedModel) -> None:
        self.model = model
        self._functions = library.functions
        self._number = library.runnable[variant]
        if library.functions["variant_word_values"](self._number) != model.word_values:
            raise ValueError(f"weights packed as {model.precision.value} are not for the variant {variant}")

    def start(self, streams: Sequence[Stream]) -> None:
        """Give fresh streams their past: endless silence, then the levels that they go on from."""
        self._call("silence", streams)
        config = self.model.config
        for stream in streams:  # one by one, for they differ in length; it is a hundredth of the work
            if stream.request.priming is not None:
                field = config.receptive_field
                self.force(stream, left_padded(np.asarray(stream.request.priming), field, config.silence_level))

    def force(self, stream: Stream, levels: NDArray[np.integer], *, with_logits: bool = False) -> NDArray[np.float32]:
        """Let a stream take its newest level and all but the last of ``levels``, which becomes its newest.

        Args:
            stream: moved on by ``len(levels)``.
            levels: (T,) in [0, Q).
            with_logits: whether the head is computed, too.

        Returns:
            (T, Q): row i tells what followed before ``levels[i]`` was known; (0, Q) without logits.
        """
        given = np.ascontiguousarray(levels, np.uint8)
        logits = np.zeros((len(given) if with_logits else 0, self.model.config.num_levels), np.float32)
        stream.fields.forced = given.ctypes.data
        stream.fields.logits = logits.ctypes.data if with_logits else None
        self._call("force", [stream], len(given))
        stream.fields.forced = stream.fields.logits = None
        return logits

    def draw(
        self, streams: Sequence[Stream], num_samples: int, sampling: SamplingConfig, team: Team | None = None
    ) -> None:
        """Draw so many further levels of every stream; none of them may have fewer left to be drawn.

        With a ``team`` its other members, each in a thread of its own, have to be in `Team.help`, or to come there.
        """
        team = team or self.team(1)
        try:
            if any(len(stream.levels) - stream.num_drawn < num_samples for stream in streams):
                raise ValueError(f"a stream has fewer than {num_samples} levels left to be drawn")
            draws = [stream.request.draws(stream.num_drawn, num_samples) for stream in streams]
            for stream, uniforms in zip(streams, draws, strict=True):
                stream.fields.uniforms = uniforms.ctypes.data
            fields = SamplingFields(sampling.temperature, sampling.top_p, sampling.top_k)
            self._call("generate", streams, num_samples, ctypes.addressof(fields), ctypes.addressof(team.fields))
        finally:
            team.dismiss()

    def team(self, size: int) -> Team:
        """Threads to share one call of `draw`."""
        help_one = self._functions["help"]
        return Team(lambda fields, number: help_one(self._number, ctypes.addressof(fields), number), size)

    def _call(self, function: str, streams: Sequence[Stream], *arguments: int) -> None:
        addresses = (ctypes.c_void_p * len(streams))(*(ctypes.addressof(stream.fields) for stream in streams))
        workspace = aligned(self._functions["workspace_bytes"](self.model.address, len(streams)))
        self._functions[function](
            self._number, self.model.address, addresses, len(streams), *arguments, workspace.ctypes.data
        )
