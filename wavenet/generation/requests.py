"""A request for one clip: complete, JSON-able, and identified by the digest of everything that decides its sound."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from wavenet import durable
from wavenet.generation.config import Priming, SamplingConfig, Variant, Weights
from wavenet.run_paths import RunPaths

FORMAT = 1
_LEFTOVER = re.compile(r"\.(?P<stem>.+)\.[0-9a-f]{12}\.tmp\.(wav|mp3|json)")


@dataclass(frozen=True)
class Excerpt:
    """A stretch of a held-out clip that a continuation goes on from.

    The clip is named by its recording's digest and where in the recording it begins, so that data folders may be
    moved; ``source`` is the recording's name for readers.
    """

    source: str
    recording_digest: str
    clip_offset_seconds: float
    first_sample: int
    num_samples: int


@dataclass(frozen=True)
class ClipRequest:
    """One clip to be generated with one checkpoint.

    ``seconds`` counts the generated part alone. ``weights`` is what the checkpoint really has. ``class_id`` is None
    for a model without conditioning, whose files are numbered as class 0. ``variant`` is what was asked for.
    """

    step: int
    checkpoint_digest: str
    weights: Weights
    class_id: int | None
    class_name: str
    clip: int
    seconds: float
    sample_rate_hz: int
    seed: int
    stream: int
    sampling: SamplingConfig
    excerpt: Excerpt | None = None
    variant: Variant = Variant.auto

    @property
    def num_samples(self) -> int:
        """Generated samples."""
        return max(1, round(self.seconds * self.sample_rate_hz))

    @property
    def priming(self) -> Priming:
        return Priming.silence if self.excerpt is None else Priming.continuation

    @property
    def join_seconds(self) -> float | None:
        """Where in the file the excerpt ends; None without one."""
        return None if self.excerpt is None else self.excerpt.num_samples / self.sample_rate_hz

    @property
    def digest(self) -> str:
        """SHA-256 over everything in the request but the variant, whose name is in the clip's JSON."""
        values = self.to_dict()
        del values["variant"]
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """A JSON-able dict that `from_dict` reads."""
        return asdict(self) | {"weights": self.weights.value, "variant": self.variant.value}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ClipRequest:
        """Build from `to_dict`'s result."""
        excerpt = values["excerpt"]
        built = {
            "weights": Weights(values["weights"]),
            "variant": Variant(values["variant"]),
            "sampling": SamplingConfig(**values["sampling"]),
            "excerpt": None if excerpt is None else Excerpt(**excerpt),
        }
        return cls(**(dict(values) | built))

    def files(self, run: RunPaths) -> ClipFiles:
        """Where the clip's files are."""
        stem = run.generated_stem(
            self.class_id or 0, self.step, is_continuation=self.excerpt is not None, clip=self.clip
        )
        return ClipFiles(*(run.generated / f"{stem}.{suffix}" for suffix in ("wav", "mp3", "json", "partial")))


@dataclass(frozen=True)
class ClipFiles:
    """A clip's files; the JSON is written last and marks the clip as complete. ``partial`` is a clip in progress."""

    wav: Path
    mp3: Path
    json: Path
    partial: Path

    def hold(self, request: ClipRequest) -> bool:
        """Whether the files are complete and were made for exactly this request."""
        try:
            facts = json.loads(self.json.read_bytes())
            made_for, variant = facts["request"], facts["variant"]
        except (OSError, ValueError, LookupError, TypeError):
            return False
        is_right_variant = request.variant is Variant.auto or variant == request.variant.value
        return bool(made_for == request.digest) and is_right_variant and self.wav.is_file() and self.mp3.is_file()

    def withdraw(self) -> None:
        """Take the mark away before the audio changes, so that no JSON ever stands beside another clip's audio."""
        durable.make_folder(self.json.parent)
        with durable.storage_errors(self.json):
            self.json.unlink(missing_ok=True)
            durable.sync_folder(self.json.parent)

    def forget_progress(self) -> None:
        """Remove what a clip in progress was kept in, and what a killed start may have left of it."""
        with durable.storage_errors(self.partial):
            self.partial.unlink(missing_ok=True)
            self.partial.with_name(f".{self.partial.name}").unlink(missing_ok=True)


def remove_leftovers(run: RunPaths, requests: Sequence[ClipRequest]) -> None:
    """Remove what starts that were killed while they wrote these clips have left beside them.

    The folder is listed once; a task that begins for the first time has no need of it.

    Raises:
        StorageError: the run folder cannot be written.
    """
    stems = {request.files(run).json.stem for request in requests}
    if not run.generated.is_dir():
        return
    with durable.storage_errors(run.generated):
        for name in os.listdir(run.generated):
            leftover = _LEFTOVER.fullmatch(name)
            if leftover and leftover["stem"] in stems:
                (run.generated / name).unlink(missing_ok=True)
