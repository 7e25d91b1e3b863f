"""Claims about clips made by the native kernel: which variant made them, and how a clip in progress goes on."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from tests.generation.native import LIBRARY, VARIANTS
from wavenet.audio import mulaw
from wavenet.errors import UsageError
from wavenet.generation import variants
from wavenet.generation.clips import make_clips
from wavenet.generation.config import GenerationConfig, Priming, Variant, Weights
from wavenet.generation.native.batch import generate_levels
from wavenet.generation.native.library import find_library
from wavenet.generation.native.streams import Kernel
from wavenet.generation.plan import is_done, make_plan
from wavenet.generation.restore import restore_packed
from wavenet.generation.streams import StreamRequest

pytestmark = pytest.mark.skipif(LIBRARY is None, reason="the kernel is not built: there is no C++ compiler")
SHORT = GenerationConfig(seconds=0.25, excerpt_seconds=0.1, checkpoints=(20,), clips_per_pair=2)


class Stopped(BaseException):
    """What a signal does to a task: not an `Exception`."""


def stop_after(num_samples):
    def progress(done, _total):
        if done >= num_samples:
            raise Stopped

    return progress


def interrupt(run, requests, data, num_samples=3000):
    with pytest.raises(Stopped):
        make_clips(run, requests, data, stop_after(num_samples))
    assert not any(is_done(run, request) for request in requests)


def audio(run, requests):
    return [request.files(run).wav.read_bytes() for request in requests]


def facts(run, request):
    return json.loads(request.files(run).json.read_bytes())


@pytest.fixture
def requests(run, data):
    return make_plan(run, SHORT, 7, data)


@pytest.fixture
def undisturbed(run, requests, data):
    """The audio of all requests, made at once; then everything is removed."""
    make_clips(run, requests, data)
    found = audio(run, requests)
    for path in run.generated.iterdir():
        path.unlink()
    return found


def test_the_wav_holds_what_the_kernel_generates(run, data):
    requests = make_plan(run, replace(SHORT, primings=(Priming.silence,)), 7, data)
    make_clips(run, requests, data)
    (variant,) = {facts(run, request)["variant"] for request in requests}
    chosen = Variant(variant)
    model = restore_packed(run.checkpoint(20), Weights.ema, chosen.precision)
    kernel = Kernel(LIBRARY, chosen.instructions, model)
    for request in requests:
        (levels,) = generate_levels(kernel, [StreamRequest(request.class_id, 7, request.stream)], 4000)
        samples, _ = soundfile.read(request.files(run).wav, dtype="int16")
        np.testing.assert_array_equal(mulaw.encode(samples / np.float32(32768)), levels)


def test_a_clip_in_progress_goes_on_bitwise(run, requests, data, undisturbed):
    """Stopped twice, the second time later, in another grouping and on two threads."""
    interrupt(run, requests, data)
    kept = sorted(path.name for path in run.generated.iterdir())
    assert kept == sorted(request.files(run).partial.name for request in requests)
    told = []
    with pytest.raises(Stopped):
        make_clips(run, requests[3:], data, stop_after(6000))
    make_clips(run, requests, data, lambda *at: told.append(at), threads=2)
    assert told[0][0] > 3000  # went on, not begun again: a first slice is short
    assert audio(run, requests) == undisturbed
    assert not list(run.generated.glob("*.partial"))


def test_a_killed_clip_goes_on_from_what_was_kept_last(run, requests, data, undisturbed, monkeypatch):
    """SIGKILL leaves what was saved in passing, here after every slice."""
    monkeypatch.setattr("wavenet.generation.in_progress.Keeper.saved_if_stopped", lambda self: nullcontext())
    with pytest.raises(Stopped):
        make_clips(run, requests, data, stop_after(3000), save_seconds=0)
    assert len(list(run.generated.glob("*.partial"))) == len(requests)
    make_clips(run, requests, data)
    assert audio(run, requests) == undisturbed


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 nonsense", "half", "flipped"])
def test_a_damaged_state_is_ignored(damage, run, requests, data, undisturbed):
    interrupt(run, requests, data)
    for request in requests:
        path = request.files(run).partial
        whole = path.read_bytes()
        if damage == "half":
            path.write_bytes(whole[: len(whole) // 2])
        elif damage == "flipped":
            path.write_bytes(bytes([*whole[:400], whole[400] ^ 1, *whole[401:]]))
        else:
            path.write_bytes(damage)
    make_clips(run, requests, data)
    assert audio(run, requests) == undisturbed


def test_a_state_of_another_request_or_variant_is_ignored(run, data):
    first, second = (make_plan(run, replace(SHORT, variant=Variant(name)), 7, data) for name in VARIANTS[:2])
    make_clips(run, second, data)
    expected = audio(run, second)
    for path in run.generated.iterdir():
        path.unlink()
    interrupt(run, first, data)
    make_clips(run, second, data)
    assert audio(run, second) == expected
    changed = [replace(request, seed=8) for request in second]
    interrupt(run, changed, data)
    make_clips(run, second, data)
    assert audio(run, second) == expected


def test_a_pinned_variant_makes_again_only_what_another_made(run, data):
    native, torch = Variant(VARIANTS[0]), Variant.torch
    requests = make_plan(run, replace(SHORT, variant=native, seconds=0.05), 7, data)
    make_clips(run, requests, data)
    assert all(is_done(run, replace(request, variant=Variant.auto)) for request in requests)
    pinned = [replace(requests[0], variant=torch), *requests[1:]]
    assert [is_done(run, request) for request in pinned] == [False] + [True] * (len(requests) - 1)
    make_clips(run, pinned, data)
    assert [facts(run, request)["variant"] for request in pinned] == ["torch"] + [native.value] * (len(requests) - 1)


def test_a_variant_that_the_processor_lacks_is_refused_with_those_that_it_has(run, data):
    (lacking, *_) = [variant for variant in Variant if variant not in [Variant.auto, *variants.runnable()]]
    requests = make_plan(run, replace(SHORT, variant=lacking), 7, data)
    with pytest.raises(
        UsageError, match=rf"generate.variant={lacking.value} cannot run on this machine .* can: .*torch"
    ):
        make_clips(run, requests, data)


def test_a_gpu_that_torch_does_not_see_is_refused(run, data, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    requests = make_plan(run, replace(SHORT, variant=Variant.cuda), 7, data)
    with pytest.raises(UsageError, match=r"generate.variant=cuda cannot run on this machine \(torch sees no GPU\)"):
        make_clips(run, requests, data)


def test_without_the_kernel_torch_makes_the_clips_and_that_is_said(run, data, monkeypatch, tmp_path):
    monkeypatch.setattr(variants, "find_library", lambda: find_library(tmp_path))
    assert "the native kernel was not built" in variants.slower_path()
    requests = make_plan(run, replace(SHORT, seconds=0.05), 7, data)
    make_clips(run, requests, data)
    assert {facts(run, request)["variant"] for request in requests} == {"torch"}
    with pytest.raises(UsageError, match="the native kernel is not built"):
        variants.choose(Variant.avx2)


def test_an_array_task_never_imports_torch(run, data):
    """Which would take seconds and hundreds of megabytes."""
    program = (
        "import sys; from pathlib import Path; from jobs.work import tasks; from wavenet.run_paths import RunPaths\n"
        "from wavenet.generation.config import GenerationConfig; from wavenet.generation.plan import make_plan\n"
        "run, data = RunPaths(Path(sys.argv[1])), Path(sys.argv[2])\n"
        "requests = make_plan(run, GenerationConfig(seconds=0.01), 7, data)\n"
        "tasks.generate(tasks.GenerateOrder(run, requests, data, 1, 30.0), lambda *at: None)\n"
        "assert 'torch' not in sys.modules, sorted(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program, run.root, data], check=True, timeout=60)
    assert list(run.generated.glob("*.wav"))


_TASK = """
import signal, sys
from pathlib import Path
from jobs import signals
from jobs.work import tasks
from wavenet.generation.config import GenerationConfig
from wavenet.generation.plan import make_plan
from wavenet.run_paths import RunPaths

run = RunPaths(Path(sys.argv[1]))
requests = make_plan(run, GenerationConfig(seconds=60, checkpoints=(20,)), 7, None)
signals.end_at_once()
print("begun", flush=True)
order = tasks.GenerateOrder(run, requests, Path(sys.argv[2]), 1, 30.0)
tasks.generate(order, lambda done, total: print(done, flush=True))
"""


def test_a_task_that_is_told_again_and_again_to_stop_saves_every_clip_once(run, data):
    """Launchers repeat SIGTERM until the process is gone."""
    command = [sys.executable, "-c", _TASK, run.root, data]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        for line in process.stdout:
            if line.strip().isdigit() and int(line) > 10_000:
                break
        while process.poll() is None:
            process.terminate()
            try:
                process.wait(0.01)
            except subprocess.TimeoutExpired:
                continue
    kept = sorted(path.name for path in run.generated.iterdir())
    assert kept == ["gen_genre-0_num-20.partial", "gen_genre-1_num-20.partial"]
