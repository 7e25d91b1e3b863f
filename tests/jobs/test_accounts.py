"""`wavenet status` tells where a run's time has gone, what its commits cost, and what it found damaged."""

from __future__ import annotations

import json
from pathlib import Path

from jobs.progress.standing import look_at
from jobs.progress.status_words import in_words
from wavenet.checkpoint.ledger import Ledger, Owner
from wavenet.run_paths import RunPaths
from wavenet.training.history import HistoryWriter, overtaken_by

BEGAN = "2026-11-23T00:00:00+00:00"


def write(run: RunPaths, number: int, *, began: str, resumed: int, last: int, ended: str, **start: object) -> None:
    """An attempt that made a step in six minutes, and whose loading took three."""
    overtook = overtaken_by(run, number)
    ledger = Ledger.claim(run, Owner("n1", 1, 1, "12", number - 1))
    history = HistoryWriter(run, number)
    facts = {"host": "n1", "job_id": "12", "restart_count": number - 1, "resumed_step": resumed, "num_steps": 100}
    rows = [
        {"kind": "start", "time": began, **facts, "overtook": overtook, **start},
        {"kind": "ready", "time": began, "loading_seconds": 180.0},
    ]
    for step in range(resumed + 1, last + 1):
        spent = {"steps": 360.0 * (step - resumed), "validation": 0.0, "commits": 1.0}
        rows.append({"kind": "step", "time": began, "step": step, "loss": 2.0, "seconds": 360.0, "spent": spent})
    stalls = {"count": number, "p50": 0.5, "p99": 0.75, "interval": 300.0}
    rows.append({"kind": "commit", "time": began, "step": last, "stalls": stalls, "spent": spent})
    ledger.append("commit", step=last, payload="x", digest="x", bytes=1)
    rows.append({"kind": "end", "time": ended, "step": last, "cause": "preemption", "spent": spent})
    history.close()
    run.attempt_history(number).write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def test_goodput_hours_and_stalls_are_told(tmp_path: Path) -> None:
    """Five hours in all; 40 of 50 steps counted, and the queue is told beside them."""
    run = RunPaths(tmp_path / "a")
    write(run, 1, began=BEGAN, resumed=0, last=30, ended="2026-11-23T03:10:00+00:00")
    damage = "checkpoint step-00000030 is damaged; it was set aside"
    begin = {"began": "2026-11-23T03:20:00+00:00", "ended": "2026-11-23T05:10:00+00:00"}
    write(run, 2, resumed=25, last=40, queue_seconds=600.0, damages=[damage], **begin)
    state = look_at(run)
    assert state.time is not None
    assert (state.time["used_hours"], state.time["wasted_hours"], state.time["goodput"]) == (5.0, 1.0, 0.8)
    assert state.time["lost_seconds"] == 5 * 360
    assert [one["lost_steps"] for one in state.attempts] == [5, 0]
    assert state.stalls == {"count": 2, "p50": 0.5, "p99": 0.75, "interval": 300.0}
    assert in_words(state)[-2:] == [
        f"    damaged: {damage}; attempt 2 went on from step 25",
        "    5 h 00 min used, 1 h 00 min wasted, goodput 80.0 %; 10 min 00 s in queue; "
        "2 commits, one in 5 min 00 s, stall p50 0.500 s, p99 0.750 s",
    ]
