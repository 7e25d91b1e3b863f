"""The compiled library as Python sees it: its structures, its functions, and the variants that this machine can run."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wavenet.generation.native.build import LIBRARY

_POINTER = ctypes.c_void_p
_I32, _I64, _F64 = ctypes.c_int32, ctypes.c_int64, ctypes.c_double
MOST_TAPS = 4
"""Levels that a `StreamFields` remembers."""


class ModelFields(ctypes.Structure):
    """``Model`` of network.h."""

    _fields_ = (
        ("num_levels", _I32),
        ("kernel_size", _I32),
        ("num_layers", _I32),
        ("residual_channels", _I32),
        ("dilation_channels", _I32),
        ("skip_channels", _I32),
        ("dilations", _POINTER),
        ("input_tables", _POINTER),
        ("filter_gate", _POINTER),
        ("filter_gate_scales", _POINTER),
        ("residual", _POINTER),
        ("residual_scales", _POINTER),
        ("residual_bias", _POINTER),
        ("skip", _POINTER),
        ("skip_scales", _POINTER),
        ("skip_bias", _POINTER),
        ("hidden", _POINTER),
        ("hidden_scales", _POINTER),
        ("hidden_bias", _POINTER),
        ("output", _POINTER),
        ("output_scales", _POINTER),
        ("output_bias", _POINTER),
    )


class StreamFields(ctypes.Structure):
    """``Stream`` of network.h."""

    _fields_ = (
        ("rings", _POINTER),
        ("bias", _POINTER),
        ("num_taken", _I64),
        ("num_drawn", _I64),
        ("recent", ctypes.c_uint8 * MOST_TAPS),
        ("forced", _POINTER),
        ("uniforms", _POINTER),
        ("levels", _POINTER),
        ("logits", _POINTER),
    )


class SamplingFields(ctypes.Structure):
    """``Sampling`` of network.h."""

    _fields_ = (("temperature", _F64), ("top_p", _F64), ("top_k", _I32))


class TeamFields(ctypes.Structure):
    """``Team`` of network.h."""

    _fields_ = (("size", _I32), ("num_posted", _I32), ("num_helped", _I32), ("posted", _POINTER))


_STRUCTURES = (ModelFields, StreamFields, SamplingFields, TeamFields)
_FUNCTIONS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "num_variants": (_I32, ()),
    "variant_name": (ctypes.c_char_p, (_I32,)),
    "variant_word_values": (_I32, (_I32,)),
    "variant_runs_here": (_I32, (_I32,)),
    "structure_bytes": (_I32, ()),
    "workspace_bytes": (_I64, (_POINTER, _I32)),
    "silence": (None, (_I32, _POINTER, _POINTER, _I32, _POINTER)),
    "force": (None, (_I32, _POINTER, _POINTER, _I32, _I32, _POINTER)),
    "generate": (None, (_I32, _POINTER, _POINTER, _I32, _I32, _POINTER, _POINTER, _POINTER)),
    "help": (None, (_I32, _POINTER, _I32)),
    "peak": (_F64, (_I32, _I64)),
}


@dataclass(frozen=True)
class Library:
    """The functions of library.cpp, and the numbers of its variants by name, best first."""

    functions: dict[str, Any]
    compiled: dict[str, int]

    @property
    def runnable(self) -> dict[str, int]:
        """Those of ``compiled`` whose instructions this processor has."""
        runs_here = self.functions["variant_runs_here"]
        return {name: number for name, number in self.compiled.items() if runs_here(number)}


@cache
def find_library(folder: Path = Path(__file__).parent) -> Library | None:
    """The library in ``folder``; None where it was not built, or does not fit this machine or this version."""
    try:
        # Called through CDLL, a function runs without Python's global lock.
        loaded = ctypes.CDLL(str(folder / LIBRARY))
        functions = {name: getattr(loaded, f"wavenet_{name}") for name in _FUNCTIONS}
    except (OSError, AttributeError):
        return None
    for name, (result, arguments) in _FUNCTIONS.items():
        functions[name].restype, functions[name].argtypes = result, arguments
    if functions["structure_bytes"]() != sum(map(ctypes.sizeof, _STRUCTURES)):
        return None
    numbers = range(functions["num_variants"]())
    return Library(functions, {functions["variant_name"](number).decode(): number for number in numbers})


def aligned(num_bytes: int) -> NDArray[np.uint8]:
    """Zeroed memory that begins where a cache line does."""
    memory = np.zeros(num_bytes + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + num_bytes]
