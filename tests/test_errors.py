"""Every error has an exit code of its own, and the docstring that users are shown is true."""

from __future__ import annotations

import re

import pytest

from wavenet import errors
from wavenet.errors import LostRankError, WavenetError, did_you_mean


def _tree(root: type[WavenetError]) -> list[type[WavenetError]]:
    below = [each for child in root.__subclasses__() if child.__module__ == errors.__name__ for each in _tree(child)]
    return [root, *below]


def test_the_drawn_tree_is_the_tree() -> None:
    """The module's docstring lists every class with its exit code, and nothing else."""
    assert errors.__doc__
    drawn = {name: int(code) for name, code in re.findall(r"(\w+Error) +(\d+)", errors.__doc__)}
    assert drawn == {each.__name__: each.exit_code for each in _tree(WavenetError)}


def test_exit_codes_tell_errors_apart() -> None:
    """Kinds have codes of their own, special cases their kind's, none is success or a shell's for a signal.

    A lost rank alone has a crash's: srun ends with the highest code of all ranks, which must be the lost one's reason.
    """
    kinds = [WavenetError, *(kind for kind in WavenetError.__subclasses__() if kind is not LostRankError)]
    codes = [each.exit_code for each in kinds]
    assert len(set(codes)) == len(codes)
    assert all(0 < code < 126 for code in codes)
    assert all(each.exit_code == kind.exit_code for kind in kinds[1:] for each in _tree(kind))


@pytest.mark.parametrize(
    ("found", "valid", "expected"),
    [
        ("trian", ["train", "prepare"], "; did you mean 'train'?"),
        ("xyz", ["train", "prepare"], "; valid: prepare, train"),
        ("xyz", [], ""),
    ],
)
def test_a_misspelling_is_answered_with_the_nearest_choice(found: str, valid: list[str], expected: str) -> None:
    """Near misses get the one choice, others all of them."""
    assert did_you_mean(found, valid) == expected
