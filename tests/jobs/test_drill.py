"""The drill interrupts a real training in every way that it has here, and would notice a byte or a step too many."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.terminal import Display
from jobs.verbs import drill
from jobs.verbs.costs import Cost, differences
from jobs.verbs.interruptions import Interruption, Target, here, interrupt
from tests.jobs.conftest import PROGRAM
from wavenet.checkpoint.store import list_committed
from wavenet.errors import UnfitError
from wavenet.run_paths import RunPaths
from wavenet.training.history import read_history

# One worker waits for the drill, once.
pytestmark = [pytest.mark.xdist_group("drill"), pytest.mark.timeout(1000)]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("drill") / "it's here"


@pytest.fixture(scope="module")
def said(place: Path) -> str:
    words = [PROGRAM, "drill", f"folder={place.name}", "cluster=local"]
    done = subprocess.run(words, cwd=place.parent, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    return done.stdout


@pytest.fixture
def runs(said: str, place: Path) -> tuple[RunPaths, RunPaths]:
    return RunPaths(place / "untouched"), RunPaths(place / "interrupted")


@pytest.mark.parametrize("name", [one.name for one in here()])
def test_each_interruption_has_its_row(said: str, name: str) -> None:
    """With how the attempt ended, the steps lost and the time until the next step."""
    assert re.search(rf"^{re.escape(name)}  +\w.*  +\d+  +\d+\.\d s$", said, re.MULTILINE)


def test_what_was_asked_in_time_lost_nothing(said: str) -> None:
    """Signals that a process may answer cost it no step."""
    asked = re.findall(r"^SIG(?:TERM|USR1).*  +(\d+)  +\d+\.\d s$", said, re.MULTILINE)
    assert asked == ["0", "0", "0"]


def test_the_runs_are_equal_and_were_really_interrupted(runs: tuple[RunPaths, RunPaths]) -> None:
    """Seven attempts claimed the run, one was killed before; the damaged checkpoint was set aside."""
    untouched, interrupted = runs
    common, differ = differences(untouched, interrupted)
    assert (len(common), differ) == (20, [])
    assert [attempt.cause for attempt in read_history(untouched).attempts] == ["finished"]
    assert len(read_history(interrupted).attempts) >= len(here())
    assert len(list(interrupted.checkpoints.glob("*.damaged-*"))) == 1


def test_it_ends_with_its_folder_and_how_to_remove_it(said: str, place: Path) -> None:
    """As it would be typed."""
    assert "every byte is the same" in said
    assert said.rstrip().endswith(f"rm -r {shlex.quote(place.name)}")


def test_one_flipped_bit_is_noticed(runs: tuple[RunPaths, RunPaths], tmp_path: Path) -> None:
    """In any of the checkpoints; the verdict is exit code 11 and names the step."""
    untouched, interrupted = runs
    other = RunPaths(tmp_path / "other")
    shutil.copytree(interrupted.root, other.root)
    weights = list_committed(other)[7].path / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    step = list_committed(other)[7].step
    if step in differences(untouched, interrupted)[0]:
        assert differences(untouched, other)[1] == [step]
    with pytest.raises(UnfitError) as refused:
        drill._judge(untouched, other, here(), [], Display())
    assert refused.value.exit_code == 11


def test_a_step_too_many_is_noticed(runs: tuple[RunPaths, RunPaths]) -> None:
    """Also where the bytes are the same."""
    cost = Cost("SIGTERM", None, 1, 1.0)
    with pytest.raises(UnfitError, match="SIGTERM lost 1 step; at most 0 may be"):
        drill._judge(*runs, here(), [cost], Display())


def test_what_is_refused_is_listed_with_its_reason(tmp_path: Path) -> None:
    """And so is what came too late, because the run was over."""

    def over(target: Target, name: str) -> None:
        target.is_over.set()

    asked = (Interruption("one", lambda target, name: "no permission"), Interruption("two", over))
    late = Interruption("three", lambda target, name: None)
    refused = interrupt(Target(RunPaths(tmp_path), Display(), 0.01), (*asked, late))
    assert refused == {"one": "no permission", "two": "the run was over before", "three": "the run was over before"}


def test_an_earlier_drill_is_not_mixed_with_this_one(
    wavenet: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    """A folder that is there is refused in a sentence."""
    (tmp_path / "drill").mkdir()
    refused = wavenet("drill")
    assert refused.returncode == 2
    assert "folder=drill must not be there yet" in refused.stderr
