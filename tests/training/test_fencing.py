"""An attempt that was overtaken changes nothing that counts, however late it writes.

tests/crashes lets it sleep at each of its system calls; here a whole training is overtaken by a whole training.
"""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from jobs.attempts import read_attempts
from wavenet.checkpoint import store
from wavenet.checkpoint.ledger import read_entries
from wavenet.errors import FencedError
from wavenet.generation.clips import make_clips
from wavenet.generation.config import GenerationConfig
from wavenet.generation.plan import make_plan
from wavenet.run_paths import RunPaths
from wavenet.training.history import read_history
from wavenet.training.loop import train
from wavenet.training.stopping import StopRequest

CLIPS = GenerationConfig(seconds=0.02, checkpoints=(8,), clips_per_pair=1)


def bytes_of(run: RunPaths):
    """Every file of the run but for the attempts' own histories."""
    files = (path for path in run.root.rglob("*") if path.is_file() and run.history not in path.parents)
    return {path: path.read_bytes() for path in files}


class OvertakenAt(StopRequest):
    """At step ``step`` a newer attempt takes the run over, finishes it, and audio is generated."""

    def __init__(self, job, step):
        super().__init__()
        self.job, self.steps_left, self.left_by_newer = job, step, {}

    def poll(self):
        self.steps_left -= 1
        if self.steps_left == 0:
            newer = replace(self.job, owner=replace(self.job.owner, restart_count=1))
            assert train(newer, StopRequest(), lambda line: None).is_finished
            make_clips(self.job.run, make_plan(self.job.run, CLIPS, 7, self.job.data), self.job.data)
            self.left_by_newer = bytes_of(self.job.run)
        return super().poll()


@pytest.mark.parametrize("step", [2, 5])
def test_late_writes_of_an_overtaken_training_change_no_byte(job, step):
    """Checkpoints, generated audio and ledger stay; its own history grows, and readers drop what it wrote too late."""
    job = replace(job, training=replace(job.training, checkpoint_every=3))
    overtaken = OvertakenAt(job, step)
    with pytest.raises(FencedError, match="overtaken"):
        train(job, overtaken, lambda line: None)
    assert any(job.run.generated.glob("*.wav"))
    assert bytes_of(job.run) == overtaken.left_by_newer
    _rows_written_too_late_are_dropped(job, step - 1)


def _rows_written_too_late_are_dropped(job, last_step):
    """``last_step`` was the newest one made when the run was taken over."""
    first, second = (job.run.attempt_history(attempt).read_text("utf-8").splitlines() for attempt in (1, 2))
    late = [row for row in map(json.loads, first) if row["time"] > json.loads(second[-1])["time"]]
    assert any(row["kind"] == "step" for row in late)
    fenced, newer = read_history(job.run).attempts
    resumed_step = newer.resumed_step
    assert (fenced.last_step, fenced.lost_steps) == (last_step, last_step - resumed_step)
    assert read_attempts(job.run)[0].step == last_step
    owners = {row.step: row.attempt for row in read_history(job.run).steps}
    assert owners == {step: 1 if step <= resumed_step else 2 for step in range(1, job.training.num_steps + 1)}
    assert [entry.attempt for entry in read_entries(job.run) if entry.kind == "claim"] == [1, 2]
    assert np.max([checkpoint.step for checkpoint in store.list_committed(job.run)]) == job.training.num_steps
