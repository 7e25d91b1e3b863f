"""Claims about the kernel's build: clean, complete, and told in a sentence where it is impossible."""

from __future__ import annotations

import platform
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.generation.native import LIBRARY, configs, random_arrays, requests
from wavenet.generation.config import Precision, SamplingConfig, Variant
from wavenet.generation.native.batch import generate_levels
from wavenet.generation.native.build import PRODUCTS, VARIANTS, BuildError, build
from wavenet.generation.native.library import find_library
from wavenet.generation.native.packing import PackedModel
from wavenet.generation.native.streams import Kernel
from wavenet.model.config import ModelConfig

# One worker compiles all variants, once.
pytestmark = pytest.mark.xdist_group("native-build")
has_compiler = pytest.mark.skipif(LIBRARY is None, reason="there is no C++ compiler")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """All of this machine's variants, and AVX-512's shape of vectors and registers emulated; warnings are errors."""
    variants = VARIANTS[platform.machine()]
    fused = next(name for name in ("avx2", "neon") if name in variants)
    folder = tmp_path_factory.mktemp("a 'kernel'")
    build(folder, variants=variants | emulated(fused), strict=True)
    return folder, fused


def emulated(fused):
    """AVX-512's shape, and with it what its instructions for integers do, element by element."""
    options = (*VARIANTS[platform.machine()][fused], "-DWAVENET_EMULATED", "-O1")
    return {"emulated": options, "emulated_fixed": (*options, "-DWAVENET_FIXED")}


@has_compiler
def test_it_compiles_without_a_warning_and_holds_every_variant(built):
    folder, _ = built
    assert sorted(path.name for path in folder.iterdir()) == sorted(PRODUCTS)
    compiled = set(find_library(folder).compiled)
    assert compiled - {"emulated", "emulated_fixed"} == set(LIBRARY.compiled) <= {variant.value for variant in Variant}


@has_compiler
def test_it_is_compiled_again_only_when_something_changed(built):
    folder, fused = built
    variants = VARIANTS[platform.machine()] | emulated(fused)
    before = (folder / PRODUCTS[0]).stat().st_mtime_ns
    build(folder, variants=variants, strict=True)
    assert (folder / PRODUCTS[0]).stat().st_mtime_ns == before


@has_compiler
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    config=configs(),
    seed=st.integers(0, 999),
    num_streams=st.integers(1, 30),
    precision=st.sampled_from([Precision.float32, Precision.int16]),
)
def test_variants_with_fused_multiply_adds_are_bitwise_equal(built, config, seed, num_streams, precision):
    """However wide their vectors are: AVX-512's blocks of streams and outputs are not those of AVX2."""
    folder, fused = built
    library, model = find_library(folder), PackedModel(config, random_arrays(config, seed), precision)
    asked = list(requests(config, num_streams, seed))
    one, other = (
        generate_levels(Kernel(library, variant, model), asked, 40, SamplingConfig()) for variant in (fused, "emulated")
    )
    np.testing.assert_array_equal(one, other)


@has_compiler
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(config=configs(), seed=st.integers(0, 999), num_streams=st.integers(1, 30))
def test_fixed_point_is_one_arithmetic_alone_or_in_a_batch(built, config, seed, num_streams):
    """Bitwise: element by element, and by the processor's own instructions where it has them."""
    library = find_library(built[0])
    model = PackedModel(config, random_arrays(config, seed), Precision.fixed)
    asked = list(requests(config, num_streams, seed))
    emulation = Kernel(library, "emulated_fixed", model)
    expected = generate_levels(emulation, asked, 40, SamplingConfig())
    np.testing.assert_array_equal(generate_levels(emulation, asked[-1:], 40, SamplingConfig()), expected[-1:])
    for name in {"avx512_fixed", "avx2_fixed"} & set(library.runnable):
        np.testing.assert_array_equal(
            generate_levels(Kernel(library, name, model), asked, 40, SamplingConfig()), expected
        )


@has_compiler
def test_weights_of_one_precision_are_not_computed_with_as_another(built):
    config = ModelConfig(layers_per_stack=2, num_conditions=1)
    model = PackedModel(config, random_arrays(config, 0), Precision.fixed)
    with pytest.raises(ValueError, match="packed as fixed are not for the variant emulated"):
        Kernel(find_library(built[0]), "emulated", model)


def test_a_missing_compiler_is_named(tmp_path):
    with pytest.raises(BuildError, match="the compiler 'no-such-compiler' cannot be started: No such file"):
        build(tmp_path, compiler="no-such-compiler")
    assert list(tmp_path.iterdir()) == []


def test_a_compiler_that_refuses_is_quoted(tmp_path):
    compiler = tmp_path / "c++"
    compiler.write_text("#!/bin/sh\n[ $1 = --version ] || { echo 'kernel.h:3: error: unknown type' >&2; exit 4; }\n")
    compiler.chmod(0o755)
    with pytest.raises(BuildError, match=r"refused with exit code 4: kernel.h:3: error: unknown type"):
        build(tmp_path / "made", compiler=str(compiler))
    assert not list((tmp_path / "made").iterdir())


def test_the_command_says_in_a_sentence_why_nothing_was_built(tmp_path):
    program = "import runpy, sys; runpy.run_module('wavenet.generation.native.build', run_name='__main__')"
    environment = {"PATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(
        "the kernel of generation was not built: there is no C++ compiler (c++, g++, clang++)"
    )


def test_a_library_of_another_version_is_not_used(tmp_path):
    (tmp_path / PRODUCTS[0]).write_bytes(b"not a library")
    assert find_library(tmp_path) is None
