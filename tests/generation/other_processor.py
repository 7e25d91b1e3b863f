"""``python -m tests.generation.other_processor``: the kernel for 64-bit ARM draws what this processor's draws.

By hand, for it needs a cross compiler and an emulator (Debian: g++-aarch64-linux-gnu, qemu-user). Random networks of
every kind, float32 weights and rounded ones: levels and logits have to be bitwise those of a variant with fused
multiply-adds.
"""

from __future__ import annotations

import ctypes
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from tests.generation.native import LIBRARY, condition, random_arrays
from wavenet.generation.config import Precision, SamplingConfig
from wavenet.generation.native.build import _ARITHMETIC, _FLAGS, SOURCE
from wavenet.generation.native.library import ModelFields
from wavenet.generation.native.packing import PackedModel
from wavenet.generation.native.streams import Kernel, new_streams
from wavenet.generation.streams import StreamRequest
from wavenet.model.config import Conditioning, ModelConfig

COMPILER, EMULATOR = "aarch64-linux-gnu-g++", "qemu-aarch64"
FUSED = next(name for name in LIBRARY.runnable if name in ("avx512", "avx2"))
SAMPLES = 40


def build(folder):
    """The program for the other processor."""
    program = folder / "program"
    table = ["-DWAVENET_VARIANT=neon", "-DWAVENET_VARIANTS=X(neon)", f"-I{SOURCE}"]
    sources = [SOURCE / "variant.cpp", SOURCE / "library.cpp", Path(__file__).with_suffix(".cpp")]
    subprocess.run([COMPILER, *_FLAGS, *_ARITHMETIC, *table, "-static", "-o", program, *sources], check=True)
    return program


def block(array):
    array = np.ascontiguousarray(array)
    return np.int64(array.nbytes).tobytes() + array.tobytes()


def description(model, streams, sizes):
    """The file that the program reads."""
    arrays = model._weights | {"dilations": model._dilations}
    pointers = [name for name, kind in ModelFields._fields_ if kind is ctypes.c_void_p]
    content = [block(np.array(sizes, np.int32))]
    content += [block(arrays.get(name, np.zeros(0, np.float32))) for name in pointers]
    for stream in streams:
        content += [
            block(part) for part in (np.zeros(model.ring_floats, np.float32), model.bias_rows(stream.condition))
        ]
        content.append(block(stream.draws(0, SAMPLES)))
    return b"".join(content)


def here(kernel, asked):
    """Levels (B, T) and logits (B, T, Q) of this processor."""
    streams = new_streams(kernel.model, asked, SAMPLES)
    logits = np.zeros((len(asked), SAMPLES, kernel.model.config.num_levels), np.float32)
    for stream, rows in zip(streams, logits, strict=True):
        stream.fields.logits = rows.ctypes.data
    kernel.start(streams)
    kernel.draw(streams, SAMPLES, SamplingConfig())
    return np.stack([stream.levels for stream in streams]), logits


def there(program, folder, model, asked):
    """The same of the other one."""
    c = model.config
    shape = [c.num_levels, c.kernel_size, c.num_layers, c.residual_channels, c.dilation_channels, c.skip_channels]
    (folder / "in").write_bytes(description(model, asked, [*shape, SAMPLES, len(asked), c.silence_level]))
    subprocess.run([EMULATOR, program, folder / "in", folder / "out"], check=True)
    found = np.frombuffer((folder / "out").read_bytes(), np.uint8).reshape(len(asked), -1)
    return found[:, :SAMPLES], found[:, SAMPLES:].copy().view(np.float32).reshape(len(asked), SAMPLES, -1)


def networks():
    """A few random shapes."""
    for seed in range(6):
        draws = np.random.default_rng(seed)
        widths = [int(draws.integers(1, 40)) for _ in range(3)]
        conditioning = list(Conditioning)[seed % len(Conditioning)]
        yield (
            seed,
            ModelConfig(
                num_levels=int(draws.integers(2, 257)),
                kernel_size=2 + seed % 2,
                num_stacks=2,
                layers_per_stack=4,
                residual_channels=widths[0],
                dilation_channels=widths[1],
                skip_channels=widths[2],
                conditioning=conditioning,
                num_conditions=0 if conditioning is Conditioning.none else 3,
            ),
        )


def main():
    """Compare, and say so; an assertion fails at the first difference."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        program = build(folder)
        for seed, config in networks():
            draws = np.random.default_rng(seed)
            asked = [StreamRequest(condition(config, draws), seed, stream) for stream in range(1 + 4 * seed)]
            for precision in (Precision.float32, Precision.int16):
                model = PackedModel(config, random_arrays(config, seed), precision)
                ours = here(Kernel(LIBRARY, FUSED, model), asked)
                for mine, other in zip(ours, there(program, folder, model, asked), strict=True):
                    np.testing.assert_array_equal(mine, other)
                said = f"{len(asked)} streams, {precision.value}, {config}: bitwise equal"
                print(said)


if __name__ == "__main__":
    sys.exit(main())
