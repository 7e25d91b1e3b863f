"""What is kept of clips that are being made, so that a task which is stopped or killed goes on where it was.

A file per clip, beside where the clip will be, replaced now and then and removed when the clip is complete. It is worth
no more than the time to draw the levels again: one that cannot be used is ignored.
"""

from __future__ import annotations

import contextlib
import io
import time
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from wavenet import durable
from wavenet.errors import StorageError
from wavenet.generation.native.streams import Stream

FORMAT = 1


def _replace(file: Path, content: bytes) -> None:
    """Give ``file`` its new content in one step, but not durably: without it the levels are drawn again.

    The temporary name is always the same, so that what a killed start has left is overwritten by the next one. Should
    two starts meet there, the file may be damaged, and is then ignored.
    """
    temporary = file.with_name(f".{file.name}")
    durable.make_folder(file.parent)
    with durable.storage_errors(file), contextlib.suppress(FileNotFoundError):
        temporary.write_bytes(content)
        temporary.replace(file)


class Keeper:
    """Keeps the state of some streams in a file each.

    Args:
        files: a stream's file.
        streams: in the same order.
        made_for: what each stream is; a file that was kept for anything else is ignored.
        every_seconds: between two savings.

    Attributes:
        seconds_before: how long the streams had been worked on when their files were kept.
    """

    def __init__(
        self, files: Sequence[Path], streams: Sequence[Stream], made_for: Sequence[str], every_seconds: float
    ) -> None:
        self._kept = list(zip(files, streams, made_for, strict=True))
        self._every_seconds = every_seconds
        self._started = self._saved = time.monotonic()
        self.seconds_before = 0.0

    def load(self) -> list[Stream]:
        """Let those streams that have a file go on from it; return the others."""
        return [stream for file, stream, made_for in self._kept if not self._load(file, stream, made_for)]

    def _load(self, file: Path, stream: Stream, made_for: str) -> bool:
        try:
            with np.load(io.BytesIO(file.read_bytes()), allow_pickle=False) as found:
                if int(found["format"]) != FORMAT or str(found["made_for"]) != made_for:
                    return False
                stream.load_arrays(dict(found))
                self.seconds_before = max(self.seconds_before, float(found["seconds"]))
                return True
        except (OSError, ValueError, LookupError, EOFError, zipfile.BadZipFile):
            return False

    def save(self) -> None:
        """Write every file anew; raise `StorageError` where the disk refuses."""
        for file, stream, made_for in self._kept:
            if stream.num_drawn:
                facts: dict[str, Any] = {"format": FORMAT, "made_for": made_for, "seconds": self.seconds}
                content = io.BytesIO()
                np.savez(content, **(facts | stream.to_arrays()))
                _replace(file, content.getvalue())
        self._saved = time.monotonic()

    def save_now_and_then(self) -> None:
        """Save where the last time is long ago."""
        if time.monotonic() - self._saved >= self._every_seconds:
            self.save()

    @property
    def seconds(self) -> float:
        """How long the streams have been worked on, earlier starts included."""
        return self.seconds_before + time.monotonic() - self._started

    @contextmanager
    def saved_if_stopped(self) -> Iterator[None]:
        """Whatever ends the block before its time, a signal above all, the state is kept."""
        try:
            yield
        except BaseException:
            with contextlib.suppress(StorageError):  # what ended the block is what is to be told
                self.save()
            raise
