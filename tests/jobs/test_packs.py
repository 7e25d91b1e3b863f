"""Pairs of genre and checkpoint are packed into tasks: none is divided, none is lost, no task has two checkpoints."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from jobs.generate import packed
from wavenet.generation.config import SamplingConfig, Weights
from wavenet.generation.requests import ClipRequest

FIRST = ClipRequest(1, "digest", Weights.ema, 0, "rock", 0, 1.0, 16000, 0, 0, SamplingConfig())


@given(
    pairs=st.sets(st.tuples(st.integers(1, 4), st.integers(0, 4))),
    clips=st.integers(1, 3),
    pairs_per_task=st.integers(0, 6),
)
def test_every_clip_is_in_one_pack(pairs: set[tuple[int, int]], clips: int, pairs_per_task: int) -> None:
    """In the order of the plan."""
    plan = [
        replace(FIRST, step=step, class_id=class_id, clip=clip)
        for step, class_id in sorted(pairs)
        for clip in range(clips)
    ]
    packs = packed(plan, pairs_per_task)
    assert [request for pack in packs for request in pack] == plan
    for pack in packs:
        assert len({request.step for request in pack}) == 1
        together = {request.class_id for request in pack}
        assert pairs_per_task == 0 or len(together) <= pairs_per_task
        assert len(pack) == clips * len(together)
    checkpoints = {step for step, _ in pairs}
    if pairs_per_task == 0:
        assert len(packs) == len(checkpoints)
