"""Claims about which clips are planned."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavenet.checkpoint.store import Committed
from wavenet.errors import InputError, UsageError
from wavenet.generation.config import GenerationConfig, Priming, Weights
from wavenet.generation.plan import choose_checkpoints, make_plan
from wavenet.generation.requests import ClipRequest
from wavenet.model.config import Conditioning, ModelConfig
from wavenet.shards.index import open_dataset

SHORT = GenerationConfig(seconds=0.01, excerpt_seconds=0.1)


def committed(*steps):
    return [Committed(step, Path(f"step-{step}"), "digest", 1) for step in steps]


def chosen(steps, **config):
    return [checkpoint.step for checkpoint in choose_checkpoints(committed(*steps), GenerationConfig(**config))]


@given(st.sets(st.integers(0, 10_000), min_size=1), st.integers(1, 9))
def test_checkpoints_spread_evenly_include_first_and_newest(steps, count):
    steps = sorted(steps)
    found = chosen(steps, evenly=count)
    assert found == sorted(set(found))
    assert set(found) <= set(steps)
    assert len(found) <= count
    assert found[-1] == steps[-1]
    assert count == 1 or found[0] == steps[0]


def test_checkpoints_are_spread_over_the_steps_not_over_their_number():
    assert chosen([1, 2, 3, 4, 400, 800, 1200], evenly=4) == [1, 400, 800, 1200]


def test_every_second_checkpoint_counts_back_from_the_newest():
    assert chosen([1, 2, 3, 4, 5, 6], every=2) == [2, 4, 6]


def test_checkpoints_are_chosen_by_step():
    assert chosen([10, 20, 30], checkpoints=(30, 10)) == [10, 30]


def test_a_missing_step_is_refused_with_those_that_are_there():
    with pytest.raises(UsageError, match=r"checkpoints \(10, 20\), got 30"):
        chosen([10, 20], checkpoints=(30,))


def test_a_run_without_checkpoints_is_told_so():
    with pytest.raises(InputError, match="no checkpoint to generate with"):
        chosen([])


def test_a_class_that_the_data_had_no_clip_of_is_generated_only_when_asked_for(run, data):
    """Of a grid of genres and years some cells are empty: nothing was learnt of them."""
    run.data_facts.write_text(json.dumps({"classes": [{"id": 0, "num_clips": 0}, {"id": 1, "num_clips": 3}]}))
    assert {each.class_id for each in make_plan(run, SHORT, 7, data)} == {1}
    assert {each.class_id for each in make_plan(run, replace(SHORT, classes=(0,)), 7, data)} == {0}


def test_a_plan_holds_every_class_checkpoint_priming_and_clip(run, data):
    requests = make_plan(run, replace(SHORT, clips_per_pair=2), 7, data)
    found = [(each.step, each.class_id, each.priming, each.clip) for each in requests]
    assert found == [(s, c, p, k) for s in (10, 20, 300) for c in (0, 1) for p in Priming for k in (0, 1)]
    assert {each.class_name for each in requests if each.class_id == 1} == {"metal"}


def test_a_request_survives_json_with_its_digest(run, data):
    for request in make_plan(run, SHORT, 7, data):
        copy = ClipRequest.from_dict(json.loads(json.dumps(request.to_dict())))
        assert copy == request
        assert copy.digest == request.digest


def test_whatever_decides_the_sound_changes_the_digest(run, data):
    first, *others = (
        make_plan(run, config, seed, data)[0].digest
        for config, seed in [
            (SHORT, 7),
            (SHORT, 8),
            (replace(SHORT, temperature=0.9), 7),
            (replace(SHORT, top_k=3), 7),
            (replace(SHORT, seconds=0.02), 7),
            (replace(SHORT, weights=Weights.raw), 7),
            (replace(SHORT, checkpoints=(20,)), 7),
        ]
    )
    assert len({first, *others}) == 7


def test_streams_differ_within_a_checkpoint_and_do_not_depend_on_what_else_is_asked_for(run, data):
    requests = make_plan(run, replace(SHORT, clips_per_pair=3, checkpoints=(20,)), 7, data)
    assert len({request.stream for request in requests}) == len(requests)
    fewer = make_plan(run, replace(SHORT, classes=(1,), primings=(Priming.continuation,)), 7, data)
    assert next(each for each in fewer if each.step == 20) in requests


def test_excerpts_are_of_held_out_recordings_of_the_class_and_the_same_at_every_checkpoint(run, data):
    requests = [each for each in make_plan(run, replace(SHORT, clips_per_pair=4), 7, data) if each.excerpt]
    held_out = {(clip.recording_digest, clip.class_id) for clip in open_dataset(data).validation}
    assert {(each.excerpt.recording_digest, each.class_id) for each in requests} == held_out
    by_step = {step: [each.excerpt for each in requests if each.step == step] for step in (10, 20, 300)}
    assert by_step[10] == by_step[20] == by_step[300]
    assert len(set(by_step[10])) > 2
    for excerpt in by_step[10]:
        assert excerpt.num_samples == 1600
        assert 0 <= excerpt.first_sample <= 8000 - 1600


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (lambda f, d: None, "there is no data folder"),
        (lambda f, d: f / "nowhere", "found no index.json"),
        (lambda f, d: d, "trained on other data"),
    ],
)
def test_without_its_data_a_run_is_planned_without_continuations_and_says_so(
    broken, words, run, data_without_held_out, tmp_path
):
    told = []
    requests = make_plan(run, SHORT, 7, broken(tmp_path, data_without_held_out), told.append)
    assert {request.priming for request in requests} == {Priming.silence}
    assert len(told) == 1
    assert words in told[0]


def test_a_class_with_nothing_held_out_has_no_continuation_and_that_is_said(commit, ledger, data_without_held_out):
    commit(10, data_digest=open_dataset(data_without_held_out).digest)
    told = []
    requests = make_plan(ledger.run, replace(SHORT, clips_per_pair=2), 7, data_without_held_out, told.append)
    assert [request.priming for request in requests] == [Priming.silence] * 4
    assert told == [
        f"no continuations of class {n}: no held-out recording of class {n} has 0.1 seconds" for n in (0, 1)
    ]


def test_without_averaged_weights_the_raw_ones_are_planned(commit, ledger):
    commit(10, with_ema=False)
    (request, *_) = make_plan(ledger.run, SHORT, 7, None)
    assert request.weights is Weights.raw


def test_a_class_that_is_not_there_is_refused_with_those_that_are(run):
    with pytest.raises(UsageError, match=r"class ids of the run \(0 \(rock\), 1 \(metal\)\), got 5"):
        make_plan(run, replace(SHORT, classes=(5,)), 7, None)


def test_a_model_without_conditioning_makes_one_clip_for_all(commit, ledger):
    commit(10, ModelConfig(layers_per_stack=2, conditioning=Conditioning.none, num_conditions=0))
    (request,) = make_plan(ledger.run, SHORT, 7, None)
    assert request.class_id is None
    assert request.files(ledger.run).wav.name == "gen_genre-0_num-10.wav"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"seconds": 0}, "generate.seconds must be a number above 0, got 0"),
        ({"seconds": float("inf")}, "generate.seconds must be a number above 0, got inf"),
        ({"excerpt_seconds": -1}, "generate.excerpt_seconds must be a number above 0"),
        ({"clips_per_pair": 0}, "generate.clips_per_pair must be at least 1"),
        ({"evenly": 0}, "generate.evenly must be at least 1"),
        ({"every": -1}, "generate.every must be at least 0"),
        ({"primings": ()}, "must name at least one of silence, continuation"),
        ({"classes": (1, 1)}, r"generate.classes must name each value once, got \[1, 1\]"),
        ({"temperature": -1}, "generate.temperature must be a number above 0"),
    ],
)
def test_a_setting_that_makes_no_audio_is_refused(values, words):
    with pytest.raises(UsageError, match=words):
        GenerationConfig(**values)


def test_lists_of_a_configuration_file_are_taken():
    assert GenerationConfig(classes=[1, 0]) == GenerationConfig(classes=(1, 0))
