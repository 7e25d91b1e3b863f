"""What a data folder that is complete holds, in words."""

from __future__ import annotations

from collections.abc import Iterator

from jobs.folders import shown
from jobs.terminal import plural
from wavenet.shards.index import read_facts
from wavenet.shards.layout import DataPaths


def in_words(data: DataPaths) -> Iterator[str]:
    """Totals per class, and why the rest was not taken."""
    facts = read_facts(data.root)
    width = max(len(one["name"]) for one in facts["classes"])
    for one in facts["classes"]:
        count = plural(one["num_recordings"], "recording")
        train, held_out = _amount(one["train_hours"]), _amount(one["validation_hours"])
        yield f"  {one['name']:<{width}}  {count}, {train} to train on, {held_out} held out"
    for genre in facts.get("missing_genres", []):
        yield f"  {genre:<{width}}  no recording was taken, so it is no class"
    found, taken = facts["num_recordings_found"], facts["num_recordings_taken"]
    if taken < found:
        reasons = ", ".join(f"{one['count']} x {one['reason']}" for one in facts["not_taken"])
        yield f"{found - taken} of {plural(found, 'file')} not taken ({reasons}): {shown(data.catalogue)}"
    yield f"shards: {shown(data.root)}"


def _amount(hours: float) -> str:
    return f"{hours:.1f} hours" if hours >= 1 else f"{60 * hours:.1f} minutes"
