"""One object owns the run folder's names; the contract's examples are its results."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavenet.run_paths import RunPaths


def test_paths_are_the_contract() -> None:
    """The names that users and scripts rely on."""
    run = RunPaths(Path("runs/rock"))
    assert run.name == "rock"
    assert run.checkpoint(20) == Path("runs/rock/checkpoints/step-00000020")
    assert run.attempt_history(1) == Path("runs/rock/history/attempt-0001.jsonl")
    assert run.ledger_entry(1) == Path("runs/rock/ledger/00000001.json")
    assert run.generated_stem(2, 20) == "gen_genre-2_num-20"
    assert run.generated_stem(2, 20, is_continuation=True, clip=3) == "gen_genre-2_num-20_continuation_clip-3"


def test_every_path_lies_in_the_run_folder(tmp_path: Path) -> None:
    """A run can be moved or copied as one folder, and looking creates nothing."""
    run = RunPaths(tmp_path / "a run")
    properties = [name for name, value in vars(RunPaths).items() if isinstance(value, property) and name != "name"]
    paths = [getattr(run, name) for name in properties]
    paths += [run.checkpoint(1), run.checkpoint_payload(1, 2), run.attempt_history(3), run.ledger_entry(4)]
    assert all(path.is_relative_to(run.root) and path != run.root for path in paths)
    assert len(set(paths)) == len(paths)
    assert not run.root.exists()


@given(st.integers(0, 10**8 - 2))
def test_names_sort_as_their_numbers(number: int) -> None:
    """A listing of the folder is in order of steps and entries."""
    run = RunPaths(Path("r"))
    assert run.checkpoint(number).name < run.checkpoint(number + 1).name
    assert run.ledger_entry(number).name < run.ledger_entry(number + 1).name


@pytest.mark.parametrize("attempts", [(1, 2), (9, 10)])
def test_two_attempts_never_write_the_same_folder(attempts: tuple[int, int]) -> None:
    """A zombie of an older attempt and its successor write the same step under different names."""
    run = RunPaths(Path("r"))
    assert len({run.checkpoint_payload(5, attempt) for attempt in attempts}) == 2
