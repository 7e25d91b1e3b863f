"""The one owner of every path inside a run folder; nothing else builds such a path.

::

    runs/<name>/
      config.yaml                     frozen at the first start
      data.json                       what the shards hold: classes, hours, digest
      ledger/00000001.json            numbered entries: who owns the run, what is committed, what was deleted
      checkpoints/step-00000020/      immutable once committed
      history/attempt-0001.jsonl      one writer each; merged on reading
      history/attempt-0001.rank-0.stacks    where every thread was when it hung
      generated/gen_genre-0_num-20.{wav,mp3,json}
      report/index.html
      jobs/                           submission scripts and logs
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class RunPaths:
    """Paths of the run whose folder is ``root``. Nothing is created by looking."""

    root: Path

    @property
    def name(self) -> str:
        return self.root.name

    @property
    def config(self) -> Path:
        return self.root / "config.yaml"

    @property
    def data_facts(self) -> Path:
        return self.root / "data.json"

    @property
    def ledger(self) -> Path:
        return self.root / "ledger"

    @property
    def checkpoints(self) -> Path:
        return self.root / "checkpoints"

    @property
    def history(self) -> Path:
        return self.root / "history"

    @property
    def generated(self) -> Path:
        return self.root / "generated"

    @property
    def report(self) -> Path:
        return self.root / "report"

    @property
    def jobs(self) -> Path:
        return self.root / "jobs"

    def ledger_entry(self, number: int) -> Path:
        return self.ledger / f"{number:08d}.json"

    def checkpoint(self, step: int) -> Path:
        return self.checkpoints / f"step-{step:08d}"

    def checkpoint_payload(self, step: int, attempt: int) -> Path:
        """Where attempt ``attempt`` writes step ``step``: a name of its own, so that a zombie never disturbs it."""
        return self.checkpoints / f"step-{step:08d}.attempt-{attempt:04d}"

    def checkpoint_room(self, attempt: int) -> Path:
        """Where attempt ``attempt`` tries for a moment whether the checkpoints to come have room."""
        return self.checkpoints / f".room.attempt-{attempt:04d}"

    def attempt_history(self, attempt: int) -> Path:
        return self.history / f"attempt-{attempt:04d}.jsonl"

    def stacks(self, attempt: int, rank: int) -> Path:
        """Where every thread of a process was when it hung."""
        return self.history / f"attempt-{attempt:04d}.rank-{rank}.stacks"

    def rank_end(self, attempt: int, rank: int) -> Path:
        """How a process above rank 0 died, for rank 0 to find."""
        return self.history / f"attempt-{attempt:04d}.rank-{rank}.end"

    def generated_stem(self, class_id: int, step: int, *, is_continuation: bool = False, clip: int = 0) -> str:
        """File name, without suffix, of generated audio: ``gen_genre-2_num-20`` for the first clip from silence."""
        stem = f"gen_genre-{class_id}_num-{step}"
        if is_continuation:
            stem += "_continuation"
        return stem if clip == 0 else f"{stem}_clip-{clip}"
