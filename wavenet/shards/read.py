"""Read clips of shards: tables through HDF5 once, samples through memory maps."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wavenet.audio.names import display
from wavenet.errors import InputError
from wavenet.shards.layout import FORMAT, SAMPLE_DTYPE, ClassFacts, Clip, ClipRow


@dataclass(frozen=True)
class Shard:
    """An open shard: its ``path``, where in the file its samples are, and its clips."""

    path: Path
    offset_bytes: int
    num_samples: int
    digest: str
    rows: tuple[ClipRow, ...]

    def map_samples(self) -> NDArray[np.int16]:
        """The samples (num_samples,) as a read-only memory map."""
        return np.memmap(self.path, SAMPLE_DTYPE, "r", self.offset_bytes, (self.num_samples,))


def open_shard(path: Path) -> Shard:
    """Read the table of the shard ``path``.

    Raises:
        InputError: the file is not a shard.
    """
    import h5py

    try:
        # Unlocked: a shard never changes, and locks fail on some cluster file systems.
        with h5py.File(path, "r", locking=False) as file:
            if file.attrs["format"] != FORMAT:
                raise ValueError(f"its format is {file.attrs['format']}, not {FORMAT}")
            samples = file["samples"]
            columns = [_column(file["clips"], field.name) for field in fields(ClipRow)]
            rows = tuple(ClipRow(*values) for values in zip(*columns, strict=True))
            # The offset is None before the first sample is written: in a shard without clips.
            return Shard(path, samples.id.get_offset() or 0, samples.size, str(file.attrs["digest"]), rows)
    except (OSError, ValueError, LookupError, RuntimeError, AttributeError) as error:
        raise InputError(f"'{display(path)}' must be a shard: {error}; run prepare again to write it anew") from error


def verify_shard(shard: Shard) -> bool:
    """Whether every byte of samples and table is as it was written."""
    digest = hashlib.sha256(shard.map_samples().data if shard.num_samples else b"")
    for row in shard.rows:
        digest.update(row.to_json_line().encode())
    return digest.hexdigest() == shard.digest


class DatasetFacts:
    """What is known of a data folder without opening a shard.

    Attributes:
        classes: facts by class id.
    """

    def __init__(self, facts: dict[str, Any]) -> None:
        self._facts = facts
        self.classes = tuple(ClassFacts(**one) for one in facts["classes"])

    @property
    def digest(self) -> str:
        """Identifies content, not place: the same clips and classes have the same digest."""
        return str(self._facts["digest"])

    @property
    def sample_rate_hz(self) -> int:
        return int(self._facts["sample_rate_hz"])

    def facts(self) -> dict[str, Any]:
        """The content of ``index.json``."""
        return self._facts


class Dataset(DatasetFacts):
    """All clips of a data folder.

    Reading is safe in threads and after a fork, and a dataset can be sent to another process: samples are mapped when
    they are first needed, and HDF5, whose lock is global, is done with by then.

    Attributes:
        train, validation: clips in the order of shards; a recording's clips are all in one of the two.
    """

    def __init__(self, facts: dict[str, Any], shards: tuple[Shard, ...]) -> None:
        super().__init__(facts)
        self._shards = shards
        self._maps: dict[int, NDArray[np.int16]] = {}
        held_out = frozenset(facts["validation"])
        self.train = tuple(clip for clip in _clips(shards) if clip.recording_digest not in held_out)
        self.validation = tuple(clip for clip in _clips(shards) if clip.recording_digest in held_out)

    def read(self, clip: Clip, first: int, stop: int) -> NDArray[np.int16]:
        """Return a copy of the samples [first, stop) of ``clip``.

        Raises:
            ValueError: unless 0 <= first <= stop <= clip.length: a window never reaches into another clip.
        """
        if not 0 <= first <= stop <= clip.length:
            raise ValueError(f"samples must be within [0, {clip.length}] of the clip, got [{first}, {stop})")
        samples = self._maps.get(clip.shard)
        if samples is None:
            samples = self._maps.setdefault(clip.shard, self._shards[clip.shard].map_samples())
        return np.array(samples[clip.start + first : clip.start + stop], np.int16)

    def verify(self) -> None:
        """Read everything and compare it with the digests.

        Raises:
            InputError: a shard's content has changed; the sentence names it.
        """
        for shard in self._shards:
            if not verify_shard(shard):
                raise InputError(
                    f"'{display(shard.path)}' must hold what prepare wrote, but its digest differs; "
                    f"remove it and run prepare again to write it anew"
                )

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_maps": {}}


def _clips(shards: tuple[Shard, ...]) -> list[Clip]:
    return [
        Clip(number, row.start, row.length, row.class_id, row.source, row.recording_digest, row.offset_seconds)
        for number, shard in enumerate(shards)
        for row in shard.rows
    ]


def _column(table: Any, name: str) -> list[Any]:
    import h5py

    column = table[name]
    is_text = h5py.check_string_dtype(column.dtype) is not None
    values: list[Any] = (column.asstr()[()] if is_text else column[()]).tolist()
    return values
