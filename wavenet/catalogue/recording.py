"""One row of the catalogue: a file that was found, what is known of it, and why it is not taken, if so.

The table file is JSON lines, one row per file found, in the order of the files' names as bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from wavenet.durable import write_text
from wavenet.errors import InputError


@dataclass(frozen=True)
class Recording:
    """A file found in the source folder.

    Attributes:
        path: relative to the source folder, as text without loss (`wavenet.audio.names.to_text`).
        size_bytes: of the file.
        digest: sha256 of its content; empty where it was not read.
        seconds: length that its header promises; 0 where that is unknown.
        genre_tags, year_tags: what its tags say, most important first.
        genre, year: what they mean; empty and 0 where that is unknown.
        class_id: value of the global condition; -1 where the recording is not taken.
        is_validation: held out of training.
        reason: why it is not taken, in words shared by all such recordings; empty where it is taken.
        detail: what is particular to this one.
    """

    path: str
    size_bytes: int = 0
    digest: str = ""
    seconds: float = 0.0
    genre_tags: tuple[str, ...] = ()
    year_tags: tuple[str, ...] = ()
    genre: str = ""
    year: int = 0
    class_id: int = -1
    is_validation: bool = False
    reason: str = ""
    detail: str = ""

    @property
    def is_taken(self) -> bool:
        return not self.reason


@dataclass(frozen=True)
class Catalogue:
    """All files found in the folder ``source``, in the order of their names."""

    source: Path
    recordings: tuple[Recording, ...]


def to_json_line(recording: Recording) -> str:
    """The row as one line of JSON, fields that hold nothing left out."""
    row = {key: value for key, value in asdict(recording).items() if value != _DEFAULTS.get(key)}
    return json.dumps(row, ensure_ascii=False) + "\n"


def write_catalogue(path: Path, recordings: Iterable[Recording]) -> None:
    """Replace the table file ``path``."""
    write_text(path, "".join(map(to_json_line, recordings)))


def read_catalogue(path: Path) -> tuple[Recording, ...]:
    """Read a table file.

    Raises:
        InputError: the file is missing or not such a table.
    """
    try:
        # Split at newlines alone: a title may hold other characters that str.splitlines takes for line ends.
        lines = path.read_text(encoding="utf-8").split("\n")
        return tuple(_from_row(json.loads(line)) for line in lines if line)
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{str(path)!r} must be a catalogue written by prepare: {error}") from error


def _from_row(row: dict[str, Any]) -> Recording:
    tags = {key: tuple(row.get(key, ())) for key in ("genre_tags", "year_tags")}
    return Recording(**{**row, **tags})


_DEFAULTS = {field.name: field.default for field in fields(Recording)}
