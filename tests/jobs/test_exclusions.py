"""Hosts that a run stays away from are named where its user looks."""

from __future__ import annotations

from pathlib import Path

from jobs.progress.standing import look_at
from jobs.progress.status_words import in_words
from wavenet.run_paths import RunPaths


def test_hosts_stayed_away_from_are_told(tmp_path: Path) -> None:
    """Those of the newest submission of the training."""
    run = RunPaths(tmp_path / "shy")
    assert look_at(run).excluded == []
    for stamp, hosts in (("20260101T000000Z", "n1\n"), ("20260102T000000Z", "n2\nn3\n")):
        folder = run.jobs / f"train-{stamp}"
        folder.mkdir(parents=True)
        (folder / "7.excluded").write_text(hosts, "utf-8")
    state = look_at(run)
    assert state.excluded == ["n2", "n3"]
    assert "stays away from n2, n3, after two faults each" in "\n".join(in_words(state))
