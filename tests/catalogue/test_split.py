"""The split is a property of a recording's content, and leaves no class without a side."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavenet.catalogue.split import SplitConfig, held_out
from wavenet.errors import UsageError

CLASSES = st.lists(st.integers(0, 4), max_size=60).map(
    lambda ids: {hashlib.sha256(str(number).encode()).hexdigest(): one for number, one in enumerate(ids)}
)
SHARES = st.floats(0.001, 0.999)


@given(CLASSES, SHARES)
def test_every_class_of_two_recordings_is_on_both_sides(classes, share):
    """So that each has something to learn from and something to be judged by."""
    validation = held_out(classes, SplitConfig(share))
    for one in set(classes.values()):
        members = {digest for digest, class_id in classes.items() if class_id == one}
        if len(members) >= 2:
            assert members & validation
            assert members - validation


@given(CLASSES, SHARES, st.randoms())
def test_the_order_of_recordings_does_not_matter(classes, share, random):
    """Only their content does."""
    shuffled = list(classes.items())
    random.shuffle(shuffled)
    assert held_out(dict(shuffled), SplitConfig(share)) == held_out(classes, SplitConfig(share))


@given(CLASSES, SHARES)
def test_adding_a_recording_moves_at_most_one_other_of_its_class(classes, share):
    """The one that had been on a side only because it would otherwise have been empty."""
    before = held_out(classes, SplitConfig(share))
    added = hashlib.sha256(b"another").hexdigest()
    after = held_out({**classes, added: 0}, SplitConfig(share))
    moved = (before ^ after) - {added}
    assert len(moved) <= 1
    assert all(classes[digest] == 0 for digest in moved)


def test_about_the_share_that_was_asked_for_is_held_out():
    """Of many recordings."""
    classes = {hashlib.sha256(str(number).encode()).hexdigest(): 0 for number in range(5000)}
    assert len(held_out(classes, SplitConfig(0.1))) == pytest.approx(500, rel=0.1)


def test_a_share_of_zero_holds_nothing_out():
    """Whoever wants no validation gets none."""
    assert held_out({"a" * 64: 0, "b" * 64: 0}, SplitConfig(0)) == frozenset()


@pytest.mark.parametrize("share", [-0.1, 1, float("nan")])
def test_a_share_outside_its_range_is_named(share):
    """In one sentence."""
    with pytest.raises(UsageError, match=r"split\.validation_share must be at least 0 and less than 1, got"):
        SplitConfig(share)
