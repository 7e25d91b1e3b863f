"""The genre × checkpoint table as compact data, from which the page builds only the rows that are looked at."""

from __future__ import annotations

import base64
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from wavenet.progress import Progress
from wavenet.report.gather import GeneratedClip, Material
from wavenet.report.thumbnails import Resolution, choose_resolution, read_samples, thumbnail


def pair_seconds(clips: Iterable[GeneratedClip]) -> dict[tuple[int, int], float]:
    """Seconds of computing for each (class, step) pair, all its clips together."""
    totals: defaultdict[tuple[int, int], float] = defaultdict(float)
    for clip in clips:
        totals[clip.pair] += clip.compute_seconds
    return dict(totals)


def table(material: Material, resolution: Resolution | None, thumbnails: str, *, with_wav: bool) -> dict[str, Any]:
    """What page.js reads; rows are classes, most training audio first, and texts are stored once.

    A clip is [row, step index, clip number, is continuation, join seconds, seconds, compute seconds, stream,
    settings index, source index, file name, WAV name or 0].
    """
    steps, rows = material.steps, {row.class_id: index for index, row in enumerate(material.classes)}
    settings, sources = _Texts(), _Texts()
    clips = [
        [
            rows[clip.class_id], steps.index(clip.step), clip.clip, int(clip.is_continuation),
            0 if clip.join_seconds is None else round(clip.join_seconds, 4), round(clip.seconds, 3),
            round(clip.compute_seconds, 3), clip.stream, settings.index(clip.settings), sources.index(clip.source),
            clip.audio.name, clip.wav.name if with_wav and clip.wav and clip.wav != clip.audio else 0,
        ]
        for clip in material.clips
    ]  # fmt: skip
    return {
        "classes": [[row.name, round(row.train_hours, 4), row.num_recordings] for row in material.classes],
        "steps": list(steps),
        "settings": settings.texts,
        "sources": sources.texts,
        "clips": clips,
        "resolution": [resolution.wave_columns, resolution.columns, resolution.bands] if resolution else None,
        "thumbnailCharacters": resolution.num_characters if resolution else 0,
        "thumbnails": thumbnails,
    }


def draw_thumbnails(
    clips: tuple[GeneratedClip, ...], budget_characters: int, problems: list[str], progress: Progress
) -> tuple[Resolution | None, str]:
    """All thumbnails, one after another in base64, at the finest resolution that the budget allows.

    A clip whose audio cannot be read gets an empty one and is named in ``problems``. Progress is in clips.
    """
    resolution = choose_resolution(len(clips), budget_characters)
    if resolution is None:
        return None, ""
    parts = []
    for done, clip in enumerate(clips, start=1):
        try:
            samples, rate = read_samples(clip.wav or clip.audio)
            parts.append(thumbnail(samples, rate, resolution))
        except (RuntimeError, OSError, ValueError) as error:
            problems.append(f"generated/{clip.audio.name} cannot be read as audio: {error}")
            parts.append(bytes(resolution.num_bytes))
        progress(done, len(clips))
    return resolution, base64.b64encode(b"".join(parts)).decode()


def script_json(value: Mapping[str, Any]) -> str:
    """JSON that may stand inside <script>: no ``<`` can end the element or open a comment, no byte needs a charset."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


class _Texts:
    """Each different text once, in order of appearance."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._indices: dict[str, int] = {}

    def index(self, text: str) -> int:
        if text not in self._indices:
            self._indices[text] = len(self.texts)
            self.texts.append(text)
        return self._indices[text]
