"""The genre × checkpoint table as compact data, from which the page builds only the rows that are looked at."""

from __future__ import annotations

import base64
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Thumbnails:
    """Thumbnails of some clips, one after another in base64; ``places[i]`` is that of clip i, -1 where it has none."""

    resolution: Resolution | None
    text: str
    places: tuple[int, ...]


def without_thumbnails(clips: tuple[GeneratedClip, ...]) -> Thumbnails:
    return Thumbnails(None, "", (-1,) * len(clips))


def table(material: Material, thumbnails: Thumbnails, *, with_wav: bool) -> dict[str, Any]:
    """What table.js reads; rows are classes, most training audio first, and texts are stored once.

    A clip is [row, step index, clip number, is continuation, join seconds, seconds, compute seconds, stream,
    settings index, source index, place of its thumbnail, WAV name or 0]. Its MP3 is the link of the same place in the
    list for browsers without scripts: thousands of names are not written twice.
    """
    steps = {step: index for index, step in enumerate(material.steps)}
    rows = {row.class_id: index for index, row in enumerate(material.classes)}
    settings, sources = _Texts(), _Texts()
    clips = [
        [
            rows[clip.class_id], steps[clip.step], clip.clip, int(clip.is_continuation),
            0 if clip.join_seconds is None else round(clip.join_seconds, 4), round(clip.seconds, 3),
            round(clip.compute_seconds, 3), clip.stream, settings.index(clip.settings), sources.index(clip.source),
            place, clip.wav.name if with_wav and clip.wav and clip.wav != clip.audio else 0,
        ]
        for clip, place in zip(material.clips, thumbnails.places, strict=True)
    ]  # fmt: skip
    resolution = thumbnails.resolution
    return {
        "classes": [[row.name, round(row.train_hours, 4), row.num_recordings] for row in material.classes],
        "steps": list(steps),
        "settings": settings.texts,
        "sources": sources.texts,
        "clips": clips,
        "resolution": [resolution.wave_columns, resolution.columns, resolution.bands] if resolution else None,
        "thumbnailCharacters": resolution.num_characters if resolution else 0,
        "thumbnails": thumbnails.text,
    }


def draw_thumbnails(
    clips: tuple[GeneratedClip, ...], budget_characters: int, problems: list[str], progress: Progress
) -> Thumbnails:
    """Draw as many clips as the budget has room for, at the finest resolution that it allows for so many.

    A clip whose audio cannot be read gets an empty thumbnail and is named in ``problems``. Progress is in clips.
    """
    resolution, chosen = _choose(clips, budget_characters)
    if resolution is None:
        return without_thumbnails(clips)
    parts = []
    for done, index in enumerate(chosen, start=1):
        parts.append(_draw(clips[index], resolution, problems))
        progress(done, len(chosen))
    places = dict(zip(chosen, range(len(chosen)), strict=True))
    text = base64.b64encode(b"".join(parts)).decode()
    return Thumbnails(resolution, text, tuple(places.get(index, -1) for index in range(len(clips))))


def _choose(clips: tuple[GeneratedClip, ...], budget_characters: int) -> tuple[Resolution | None, list[int]]:
    """All clips, or else the first ones of each pair, or else those at the first and last checkpoint."""
    ends = {min((clip.step for clip in clips), default=0), max((clip.step for clip in clips), default=0)}
    everything = list(range(len(clips)))
    first = [index for index in everything if clips[index].clip == 0]
    outermost = [index for index in first if clips[index].step in ends]
    for chosen in (everything, first, outermost):
        resolution = choose_resolution(len(chosen), budget_characters)
        if resolution is not None:
            return resolution, chosen
    return None, []


def _draw(clip: GeneratedClip, resolution: Resolution, problems: list[str]) -> bytes:
    try:
        return thumbnail(*read_samples(clip.wav or clip.audio), resolution)
    except (RuntimeError, OSError, ValueError) as error:
        problems.append(f"generated/{clip.audio.name} cannot be read as audio: {error}")
        return bytes(resolution.num_bytes)


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
