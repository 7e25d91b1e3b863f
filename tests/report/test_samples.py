"""Which clips get a picture when there is not room for all."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wavenet.progress import silent
from wavenet.report.gather import gather
from wavenet.report.samples import draw_thumbnails, script_json
from wavenet.report.thumbnails import RESOLUTIONS


@pytest.fixture
def clips(new_run):
    """Two genres × three checkpoints × two clips × both primings."""
    run = new_run()
    run.generate(itertools.product((0, 1), (20, 40, 60)), clips=2, seconds=0.5)
    return gather(run.paths).clips


@pytest.mark.parametrize(
    ("num_drawn", "rule"),
    [(24, lambda clip: True), (12, lambda clip: clip.clip == 0), (8, lambda clip: clip.clip == 0 and clip.step != 40),
     (0, lambda clip: False)],
)  # fmt: skip
def test_the_clips_looked_at_first_get_their_picture_first(clips, num_drawn, rule):
    """With less and less room: all, the first ones of each pair, those at the outermost checkpoints, none."""
    budget = num_drawn * RESOLUTIONS[-1].num_characters
    thumbnails = draw_thumbnails(clips, budget, [], silent)
    assert [place >= 0 for place in thumbnails.places] == [rule(clip) for clip in clips]
    assert len(thumbnails.text) <= budget


@settings(deadline=None, max_examples=30)
@given(st.dictionaries(st.text(), st.lists(st.text())))
def test_json_in_a_script_element_cannot_end_it(value):
    """Whatever the texts are, no ``<`` is left, everything is ASCII, and reading it gives the value back."""
    text = script_json({"value": value})
    assert "<" not in text
    assert text.isascii()
    assert json.loads(text) == {"value": value}
