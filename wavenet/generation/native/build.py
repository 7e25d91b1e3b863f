"""Compile the kernel: one source, once per instruction set, into one library that asks the processor when it is loaded.

The package's build calls `build`; ``python -m wavenet.generation.native.build`` does the same by hand, for instance
after a compiler has been installed. The standard library is all that is needed here: the build runs in an environment
of its own, where neither numpy nor this package is installed.
"""

from __future__ import annotations

import concurrent.futures
import hashlib
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCE = Path(__file__).parent
LIBRARY = "kernel.so"
_STAMP = "kernel.stamp"
PRODUCTS = (LIBRARY, _STAMP)
_COMPILERS = ("c++", "g++", "clang++")
_FLAGS = ("-std=c++17", "-O3", "-fPIC", "-fvisibility=hidden", "-fno-exceptions", "-fno-rtti")
# The kernel says itself where a multiplication and an addition are one: bits must not depend on the compiler.
_ARITHMETIC = ("-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math")
_WARNINGS = ("-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wno-psabi")
Variants = dict[str, tuple[str, ...]]
"""Names, and the flags that each is compiled with: those of floats, the fastest first, then those in fixed point."""
_AVX512 = ("-mavx512f", "-mavx512dq", "-mavx512vl", "-mfma", "-mprefer-vector-width=512")
_AVX2 = ("-mavx2", "-mfma")
_X86_64: Variants = {
    "avx512": _AVX512,
    "avx2": _AVX2,
    "portable": (),
    "avx512_fixed": (*_AVX512, "-mavx512vnni", "-DWAVENET_FIXED"),
    "avx2_fixed": (*_AVX2, "-DWAVENET_FIXED"),
}
VARIANTS: dict[str, Variants] = {"x86_64": _X86_64, "AMD64": _X86_64, "aarch64": {"neon": ()}, "arm64": {"neon": ()}}


class BuildError(Exception):
    """The kernel could not be compiled; the message is a sentence."""


def build(
    folder: Path = SOURCE, *, compiler: str | None = None, variants: Variants | None = None, strict: bool = False
) -> Path:
    """Compile the library into ``folder`` unless the one there is of the same source, compiler and flags.

    Args:
        folder: gets the library, and a stamp that says what it was made of.
        compiler: a C++17 compiler; None: the first of c++, g++ and clang++ that is installed.
        variants: what to compile; None: all of this kind of machine.
        strict: a warning is an error.

    Raises:
        BuildError: there is no compiler, or it refused.
    """
    found = compiler or next((name for name in _COMPILERS if shutil.which(name)), None)
    if found is None:
        raise BuildError(f"there is no C++ compiler ({', '.join(_COMPILERS)}); install one, such as Debian's g++")
    variants = variants or VARIANTS.get(platform.machine(), {"portable": ()})
    flags = (*_FLAGS, *_ARITHMETIC, *_WARNINGS, *(("-Werror",) if strict else ()))
    library, stamp, made_of = folder / LIBRARY, folder / _STAMP, _made_of(found, variants, flags)
    if library.is_file() and stamp.is_file() and stamp.read_text("utf-8") == made_of:
        return library
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".build-") as scratch:
        made = _compile(found, flags, variants, Path(scratch))
        stamp.unlink(missing_ok=True)
        made.replace(library)  # a new file: a process that has loaded the old one keeps it
    stamp.write_text(made_of, "utf-8")
    return library


def _made_of(compiler: str, variants: Variants, flags: tuple[str, ...]) -> str:
    """A digest of everything that decides the library."""
    version = _run([compiler, "--version"])
    sources = [path.read_bytes() for path in sorted(SOURCE.glob("*.[ch]*")) if path.suffix in {".cpp", ".h"}]
    digest = hashlib.sha256(repr((version, variants, flags, sys.platform, sources)).encode())
    return digest.hexdigest()


def _compile(compiler: str, flags: tuple[str, ...], variants: Variants, scratch: Path) -> Path:
    def compiled(source: str, name: str, *options: str) -> str:
        target = str(scratch / f"{name}.o")
        _run([compiler, *flags, *options, "-c", str(SOURCE / source), "-o", target])
        return target

    table = "".join(f"X({name})" for name in variants)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        jobs = [
            pool.submit(compiled, "variant.cpp", name, f"-DWAVENET_VARIANT={name}", *options)
            for name, options in variants.items()
        ]
        objects = [compiled("library.cpp", "library", f"-DWAVENET_VARIANTS={table}"), *(job.result() for job in jobs)]
    library = scratch / LIBRARY
    # Nothing of the C++ library is used: without it the file runs wherever there is a C library of the last ten years.
    _run([compiler, "-shared", "-Wl,--as-needed", "-static-libgcc", "-o", str(library), *objects])
    return library


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise BuildError(f"the compiler {command[0]!r} cannot be started: {error.strerror}") from error
    if done.returncode:
        words = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()
        first = next((line for line in words if "error" in line), words[0])
        raise BuildError(f"{command[0]} refused with exit code {done.returncode}: {first}")
    return done.stdout


if __name__ == "__main__":
    try:
        build()
    except BuildError as error:
        sys.exit(f"the kernel of generation was not built: {error}")
