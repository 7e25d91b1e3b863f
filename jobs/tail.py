"""The end of a text file, without reading the rest."""

from __future__ import annotations

import os
from pathlib import Path

_BYTES = 8192


def last_lines(path: Path, num_bytes: int = _BYTES) -> list[str]:
    """Whole lines among the last bytes of ``path``; none where it cannot be read."""
    try:
        with path.open("rb") as file:
            begin = max(0, os.fstat(file.fileno()).st_size - num_bytes)
            file.seek(begin)
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return []
    return lines[1:] if begin else lines
