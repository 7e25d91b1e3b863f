"""Pairs of genre and checkpoint are packed into tasks: none is divided, none is lost, no task has two checkpoints."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.work.packing import Plan, last_end, packed
from wavenet.generation.config import SamplingConfig, Variant, Weights
from wavenet.generation.estimate import Pace, remember
from wavenet.generation.requests import ClipRequest
from wavenet.run_paths import RunPaths

FIRST = ClipRequest(1, "digest", Weights.ema, 0, "rock", 0, 1.0, 16000, 0, 0, SamplingConfig())


def planned(pairs: set[tuple[int, int]], clips: int = 1) -> list[ClipRequest]:
    return [
        replace(FIRST, step=step, class_id=class_id, clip=clip)
        for step, class_id in sorted(pairs)
        for clip in range(clips)
    ]


def grid(checkpoints: int, classes: int) -> list[ClipRequest]:
    return planned({(step, class_id) for step in range(checkpoints) for class_id in range(classes)})


@given(
    pairs=st.sets(st.tuples(st.integers(1, 4), st.integers(0, 4))),
    clips=st.integers(1, 3),
    pairs_per_task=st.integers(0, 6),
    num_cores=st.integers(1, 7),
)
def test_every_clip_is_in_one_pack(
    pairs: set[tuple[int, int]], clips: int, pairs_per_task: int, num_cores: int
) -> None:
    """In the order of the plan."""
    plan = planned(pairs, clips)
    packs = packed(plan, pairs_per_task, num_cores)
    assert [request for pack in packs for request in pack] == plan
    for pack in packs:
        assert len({request.step for request in pack}) == 1
        together = {request.class_id for request in pack}
        assert pairs_per_task == 0 or len(together) <= pairs_per_task
        assert len(pack) == clips * len(together)
    checkpoints = {step for step, _ in pairs}
    if pairs_per_task == 0 and num_cores == 1:
        assert len(packs) == len(checkpoints)


@pytest.mark.parametrize(
    ("checkpoints", "classes", "cores", "sizes"),
    [
        (4, 5, 2, [5, 5, 5, 5]),  # the class project's evaluation on two cores: all genres of a checkpoint in one batch
        (1, 5, 2, [2, 3]),
        (1, 1, 2, [1]),
        (3, 4, 2, [2, 2, 2, 2, 2, 2]),  # three batches would leave one core idle for half of the time
        (2, 4, 8, [1] * 8),
        (2, 8, 8, [2] * 8),
        (100, 5, 8, [5] * 100),
    ],
)
def test_all_cores_of_a_machine_work_till_the_end(checkpoints: int, classes: int, cores: int, sizes: list[int]) -> None:
    """In as few batches as that allows, because streams of one batch share every read of the weights."""
    assert [len(pack) for pack in packed(grid(checkpoints, classes), 0, cores)] == sizes


def test_a_task_begins_when_another_one_ends() -> None:
    assert last_end([3.0, 1.0, 1.0, 1.0], 2) == 3.0
    assert last_end([1.0, 1.0, 1.0], 2) == 2.0
    assert last_end([1.0] * 2000, 256) == 8.0


def test_the_plan_says_what_there_is_to_do_and_how_long_it_takes() -> None:
    """And what that is known by."""
    plan = Plan(packed(grid(4, 5), 0, 2), 2, 1)
    # 6 units of a batch of 5, a sample of each takes a millisecond: 96 s and one second to begin, twice on each core.
    words = plan.in_words(Pace(0.001, "the stars say"))
    assert words == "plan: 4 tasks, 2 at once, 20 pairs, 20 clips, 0:20 of audio; about 3:14, as the stars say"
    assert "how long that takes is not known" in plan.in_words(None)
    assert Plan(plan.packs, 2, 3).in_words(None).startswith("plan: 4 tasks, 2 at once with 3 threads each, 20 pairs")


def test_earlier_clips_of_the_run_tell_the_pace(tmp_path: Path) -> None:
    """Those that the wanted variant made; what cannot be read tells nothing."""
    run = RunPaths(tmp_path)
    assert remember(run, Variant.auto) is None
    run.generated.mkdir()
    facts = {"variant": "avx2", "num_streams": 4, "threads": 2, "samples_per_second": 2000.0}
    run.generated.joinpath("gen_genre-0_num-1.json").write_text(json.dumps(facts))
    run.generated.joinpath("gen_genre-1_num-1.json").write_text("{")
    pace = remember(run, Variant.auto)
    assert pace is not None
    # 4 streams on 2 threads: a sample of all takes 2 ms, 2 streams of a thread and the weights count as 3.
    assert pace.unit_seconds == pytest.approx(0.002 / 3)
    assert pace.seconds([FIRST] * 4, threads=2) == pytest.approx(16000 * 0.002)
    assert pace.source == "1 earlier clips of the run"
    assert remember(run, Variant.torch) is None
