"""Claims about the files of generated audio."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from wavenet.audio import mulaw
from wavenet.errors import InputError, MismatchError, StorageError
from wavenet.generation.clip_files import Making, write_clip
from wavenet.generation.clips import make_clips
from wavenet.generation.config import GenerationConfig, Priming, Variant, Weights
from wavenet.generation.generate import generate_levels
from wavenet.generation.plan import is_done, make_plan
from wavenet.generation.restore import restore
from wavenet.generation.streams import StreamRequest
from wavenet.model.arrays import initial_arrays
from wavenet.model.config import ModelConfig
from wavenet.run_paths import RunPaths
from wavenet.shards.index import open_dataset

SHORT = GenerationConfig(seconds=0.05, excerpt_seconds=0.1, checkpoints=(20,), clips_per_pair=2)


def state_of(run):
    return {path.name: path.stat().st_mtime_ns for path in run.generated.iterdir()}


def read(path):
    samples, rate = soundfile.read(path, dtype="int16")
    assert rate == 16_000
    return samples


def test_each_clip_is_wav_mp3_and_json_and_then_done(run, data):
    requests = make_plan(run, SHORT, 7, data)
    assert not any(is_done(run, request) for request in requests)
    paths = make_clips(run, requests, data)
    assert all(is_done(run, request) for request in requests)
    assert len(list(run.generated.iterdir())) == 3 * len(requests) == 24
    for request, path in zip(requests, paths, strict=True):
        facts = json.loads(path.read_bytes())
        assert facts["request"] == request.digest
        assert (facts["step"], facts["class_name"], facts["weights"]) == (20, request.class_name, "ema")
        assert len(read(path.with_name(facts["wav"]))) == round(facts["seconds"] * 16_000)
        assert len(read(path.with_name(facts["mp3"]))) == round(facts["seconds"] * 16_000)
    assert paths[0].name == "gen_genre-0_num-20.json"
    assert paths[3].name == "gen_genre-0_num-20_continuation_clip-1.json"


def test_the_wav_holds_what_the_averaged_weights_generate(run, data):
    """By torch; the kernel's own levels are compared in test_native_clips.py."""
    requests = make_plan(run, replace(SHORT, primings=(Priming.silence,), variant=Variant.torch), 7, data)
    make_clips(run, requests, data)
    model, found = restore(run.checkpoint(20), Weights.ema)
    assert found is Weights.ema
    np.testing.assert_array_equal(model.output_weight.detach(), initial_arrays(model.config, 21)["output_weight"])
    streams = [StreamRequest(request.class_id, 7, request.stream) for request in requests]
    for request, levels in zip(requests, generate_levels(model, streams, 800), strict=True):
        np.testing.assert_array_equal(mulaw.encode(read(request.files(run).wav) / np.float32(32768)), levels)


def test_a_continuation_begins_with_its_excerpt_and_marks_the_join(run, data):
    (request,) = make_plan(
        run, replace(SHORT, primings=(Priming.continuation,), clips_per_pair=1, classes=(1,)), 7, data
    )
    (path,) = make_clips(run, [request], data)
    facts = json.loads(path.read_bytes())
    (clip,) = [each for each in open_dataset(data).validation if each.class_id == 1]
    assert facts["join_seconds"] == 0.1
    assert facts["seconds"] == pytest.approx(0.15)
    assert facts["source"] == clip.source
    first = request.excerpt.first_sample
    excerpt = mulaw.encode_int16(open_dataset(data).read(clip, first, first + 1600))
    np.testing.assert_array_equal(mulaw.encode_int16(read(request.files(run).wav)[:1600]), excerpt)


def test_what_is_done_is_not_done_again_and_what_changed_is_replaced(run, data):
    make_clips(run, make_plan(run, SHORT, 7, data), data)
    before = state_of(run)
    make_clips(run, make_plan(run, SHORT, 7, data), data)
    assert state_of(run) == before
    (changed, *others) = make_plan(run, SHORT, 7, data)
    changed = replace(changed, seed=8)
    make_clips(run, [changed, *others], data)
    after = state_of(run)
    assert {name for name in before if before[name] != after[name]} == {
        f"gen_genre-0_num-20.{suffix}" for suffix in ("wav", "mp3", "json")
    }


@pytest.mark.parametrize("suffix", ["wav", "mp3", "json"])
def test_a_clip_that_lost_a_file_is_made_again(suffix, run, data):
    requests = make_plan(run, replace(SHORT, primings=(Priming.silence,)), 7, data)
    make_clips(run, requests, data)
    run.generated.joinpath(f"gen_genre-1_num-20.{suffix}").unlink()
    assert [is_done(run, request) for request in requests] == [True, True, False, True]
    make_clips(run, requests, data)
    assert all(is_done(run, request) for request in requests)


def test_progress_counts_the_samples_of_all_clips(run, data):
    told = []
    requests = make_plan(run, SHORT, 7, data)
    make_clips(run, requests, data, lambda *at: told.append(at))
    assert told[-1] == (8 * 800, 8 * 800)


def test_a_checkpoint_that_was_deleted_is_named_with_those_that_are_left(run, data, ledger):
    requests = make_plan(run, SHORT, 7, data)
    ledger.append("delete", step=20, reason="retention")
    shutil.rmtree(run.checkpoint(20))
    with pytest.raises(InputError, match="no checkpoint of step 20 any more; it has 10, 300"):
        make_clips(run, requests, data)


def test_a_plan_for_another_checkpoint_of_the_step_is_refused(run, data):
    requests = [replace(request, checkpoint_digest="0" * 64) for request in make_plan(run, SHORT, 7, data)]
    with pytest.raises(MismatchError, match=r"step 20 .* is not the one that the clips were planned for"):
        make_clips(run, requests, data)


def test_a_checkpoint_of_another_architecture_is_refused_by_the_array(commit, ledger, data):
    commit(20, model=ModelConfig(num_conditions=2).to_dict())
    with pytest.raises(MismatchError, match="of another architecture: the weights' array 'input_weight' must have"):
        make_clips(ledger.run, make_plan(ledger.run, SHORT, 7, None), None)


def test_a_full_disk_is_one_sentence_and_leaves_no_complete_clip(run, data, small_disk):
    small = RunPaths(small_disk / "run")
    small.generated.mkdir(parents=True)
    for name in ("ledger", "checkpoints"):
        (small.root / name).symlink_to(run.root / name)
    requests = make_plan(small, SHORT, 7, data)
    with pytest.raises(OSError, match="No space"):
        (small_disk / "something else").write_bytes(bytes(2**20 + 1))
    with pytest.raises(StorageError, match="the disk is full"):
        make_clips(small, requests, data)
    assert not any(is_done(small, request) for request in requests)


def test_a_clip_that_another_start_finished_first_stays_to_the_byte(run, data):
    request, *_ = make_plan(run, SHORT, 7, data)
    make_clips(run, [request], data)
    before = {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in run.generated.iterdir()}
    late = Making(Variant.torch, reading_seconds=1.0, sampling_seconds=1.0, num_streams=1, num_samples=1)
    write_clip(run, request, np.zeros(800, np.float32), b"", late)
    assert {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in run.generated.iterdir()} == before
