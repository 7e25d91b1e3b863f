"""Claims about the kernel's build: clean, complete, and told in a sentence where it is impossible."""

from __future__ import annotations

import platform
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.generation.native import LIBRARY, configs, divergence, random_arrays, requests, started
from wavenet.generation.config import Precision, SamplingConfig, Variant
from wavenet.generation.native.batch import generate_levels
from wavenet.generation.native.build import PRODUCTS, VARIANTS, BuildError, build
from wavenet.generation.native.library import find_library
from wavenet.generation.native.packing import PackedModel
from wavenet.generation.native.streams import Kernel
from wavenet.generation.streams import StreamRequest
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
    """AVX-512's shape, and with it what its instructions for bfloat16 do, element by element."""
    options = (*VARIANTS[platform.machine()][fused], "-DWAVENET_EMULATED", "-O1")
    return {"emulated": options, "emulated_bf16": (*options, "-DWAVENET_PAIRS")}


@has_compiler
def test_it_compiles_without_a_warning_and_holds_every_variant(built):
    folder, _ = built
    assert sorted(path.name for path in folder.iterdir()) == sorted(PRODUCTS)
    compiled = set(find_library(folder).compiled)
    assert compiled - {"emulated", "emulated_bf16"} == set(LIBRARY.compiled) <= {variant.value for variant in Variant}


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
def test_bfloat16_is_one_arithmetic_alone_or_in_a_batch(built, config, seed, num_streams):
    """Bitwise: element by element, and by the processor's own instructions where it has them."""
    library = find_library(built[0])
    model = PackedModel(config, random_arrays(config, seed), Precision.bfloat16)
    asked = list(requests(config, num_streams, seed))
    emulation = Kernel(library, "emulated_bf16", model)
    expected = generate_levels(emulation, asked, 40, SamplingConfig())
    np.testing.assert_array_equal(generate_levels(emulation, asked[-1:], 40, SamplingConfig()), expected[-1:])
    for name in {"avx512_bf16"} & set(library.runnable):
        np.testing.assert_array_equal(
            generate_levels(Kernel(library, name, model), asked, 40, SamplingConfig()), expected
        )


@has_compiler
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(config=configs(), seed=st.integers(0, 999))
def test_bfloat16_is_the_network_to_its_precision(built, config, seed):
    """Eight bits of weights and inputs: logits are off by a few hundredths of the largest."""
    library, arrays = find_library(built[0]), random_arrays(config, seed)
    (request,) = requests(config, 1, seed)
    levels = np.random.default_rng(seed).integers(0, config.num_levels, 60)
    exact, narrow = (
        logits(Kernel(library, name, PackedModel(config, arrays, precision)), request, levels)
        for name, precision in ((built[1], Precision.float32), ("emulated_bf16", Precision.bfloat16))
    )
    assert np.abs(exact - narrow).max() < 0.05 * np.abs(exact).max()


def logits(kernel, request, levels):
    (stream,) = started(kernel, [request], 1)
    return kernel.force(stream, levels, with_logits=True)


@has_compiler
def test_bfloat16_hardly_changes_the_distribution(built):
    """By less than a thousandth of a bit per sample, and it does change it; trained weights are in the benchmarks."""
    config = ModelConfig(layers_per_stack=4, residual_channels=20, dilation_channels=12, num_conditions=3)
    library, arrays, request = find_library(built[0]), random_arrays(config, 0), StreamRequest(0, 0, 0)
    levels = np.random.default_rng(0).integers(0, 256, 500)
    exact, narrow = (
        logits(Kernel(library, name, PackedModel(config, arrays, precision)), request, levels)
        for name, precision in ((built[1], Precision.float32), ("emulated_bf16", Precision.bfloat16))
    )
    assert 0 < divergence(exact, narrow).mean() < 1e-3


@has_compiler
def test_weights_of_one_precision_are_not_computed_with_as_another(built):
    config = ModelConfig(layers_per_stack=2, num_conditions=1)
    model = PackedModel(config, random_arrays(config, 0), Precision.bfloat16)
    with pytest.raises(ValueError, match="packed as bfloat16 are not for the variant emulated"):
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
