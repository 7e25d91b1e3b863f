"""The lines by which a task tells in its log how far it is, for those who read the log."""

from __future__ import annotations

PROGRESS_MARK = "progress"


def read(line: str) -> tuple[int, int] | None:
    """How much is done of how much; None for any other line."""
    words = line.split()
    if len(words) != 3 or words[0] != PROGRESS_MARK or not (words[1].isdigit() and words[2].isdigit()):
        return None
    return int(words[1]), int(words[2])
