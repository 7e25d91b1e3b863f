"""Arrays on one machine: so many at a time, restarted so often, failures listed, the others done."""

from __future__ import annotations

import importlib.util
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import cloudpickle
import pytest

from jobs.cluster import ClusterConfig
from jobs.terminal import Display
from jobs.work.arrays import ArrayTask, run_array
from wavenet.errors import StageFailedError


@pytest.fixture(scope="module")
def work() -> Iterator[ModuleType]:
    specification = importlib.util.spec_from_file_location("work", Path(__file__).with_name("work.py"))
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(__import__("sys").modules, "work", module)
        cloudpickle.register_pickle_by_value(module)
        yield module
        cloudpickle.unregister_pickle_by_value(module)


def test_values_come_in_order_and_what_fails_is_named(
    work: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A task that is killed starts again; one refused by its input does not; all others finish."""
    good = [ArrayTask("first", work.doubled, (1,)), ArrayTask("died", work.killed_once, (tmp_path / "marker",))]
    cluster = ClusterConfig(max_parallel=4, array_attempts=2)
    assert run_array("stage", good, tmp_path / "jobs", cluster, Display()) == [2, "alive"]
    assert "died: the process was killed; starting it again" in capsys.readouterr().out
    bad = [ArrayTask("bad", work.refused, ()), ArrayTask("broken", work.crashed, ()), good[0]]
    with pytest.raises(StageFailedError) as caught:
        run_array("stage", bad, tmp_path / "jobs", cluster, Display())
    assert str(caught.value).startswith("2 of 3 tasks of stage failed for good, the others are done: ")
    assert "bad: the file 'x' must be music" in str(caught.value)
    assert "broken: ZeroDivisionError: of all things" in str(caught.value)
    shown = capsys.readouterr().out
    assert "bad: " not in shown, "its input will not be better the second time"
    assert "broken: ZeroDivisionError: of all things; starting it again" in shown
    assert list((tmp_path / "jobs").rglob("*.pkl")) == []


def test_no_more_tasks_are_alive_than_allowed(work: ModuleType, tmp_path: Path) -> None:
    """submitit alone would start them all at once."""
    folder = tmp_path / "alive"
    folder.mkdir()
    tasks = [ArrayTask(str(number), work.counted, (folder, number)) for number in range(4)]
    alive = run_array("stage", tasks, tmp_path / "jobs", ClusterConfig(max_parallel=2), Display())
    assert max(alive) <= 2


def test_an_empty_array_is_done(tmp_path: Path) -> None:
    """And leaves no folder."""
    assert run_array("stage", [], tmp_path / "jobs", ClusterConfig(), Display()) == []
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_ends_the_tasks_too(work: ModuleType, tmp_path: Path) -> None:
    """Tasks clean up behind themselves and none is left running."""
    marker = tmp_path / "marker"

    def press() -> None:
        while not marker.exists():
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        run_array("stage", [ArrayTask("slow", work.slow, (marker,))], tmp_path / "jobs", ClusterConfig(), Display())
    thread.join()
    assert marker.with_suffix(".tidied").exists()
