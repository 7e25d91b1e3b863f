"""Read everything the page tells from the files of a run.

A part that is not there yet stays empty, and a file that cannot be read is named in `Material.problems`: a report of an
unfinished or damaged run is worth more than none.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wavenet.audio.names import display
from wavenet.checkpoint.store import Committed, list_committed
from wavenet.errors import InputError, WavenetError
from wavenet.run_paths import RunPaths
from wavenet.training.history import History, read_history


@dataclass(frozen=True)
class ClassRow:
    """One class of the data: a genre, or a genre in a year. Hours are hours of clips."""

    class_id: int
    name: str
    num_recordings: int = 0
    num_clips: int = 0
    train_hours: float = 0.0
    validation_hours: float = 0.0


@dataclass(frozen=True)
class GeneratedClip:
    """One piece of generated audio, as its JSON tells.

    ``join_seconds`` is where a continuation stops being a recording, None for a clip from silence.
    ``compute_seconds`` is this clip's share of the time its batch of streams took.
    """

    class_id: int
    class_name: str
    step: int
    clip: int
    is_continuation: bool
    join_seconds: float | None
    source: str
    seconds: float
    seed: int
    stream: int
    settings: str
    weights: str
    compute_seconds: float
    samples_per_second: float
    audio: Path
    wav: Path | None

    @property
    def pair(self) -> tuple[int, int]:
        return self.class_id, self.step


@dataclass(frozen=True)
class Material:
    """All that is known of a run. Clips are in the order of the table: class by class, step by step."""

    name: str
    classes: tuple[ClassRow, ...]
    data: Mapping[str, Any]
    history: History
    checkpoints: tuple[Committed, ...]
    clips: tuple[GeneratedClip, ...]
    config_text: str
    problems: tuple[str, ...]

    @property
    def steps(self) -> tuple[int, ...]:
        """The steps that generated audio exists of, ascending."""
        return tuple(sorted({clip.step for clip in self.clips}))


def gather(run: RunPaths) -> Material:
    """Read the run folder.

    Raises:
        InputError: the folder of the run does not exist.
    """
    if not run.root.is_dir():
        raise InputError(f"run='{display(run.root)}' must be the folder of a run, and there is no such folder")
    problems: list[str] = []
    data = _data_facts(run.data_facts, problems)
    clips = _generated_clips(run.generated, problems)
    classes = _classes(data, clips, problems)
    rows = {row.class_id: place for place, row in enumerate(classes)}
    return Material(
        name=run.root.resolve().name,
        classes=classes,
        data=data,
        history=_history(run, problems),
        checkpoints=_checkpoints(run, problems),
        clips=tuple(sorted(clips, key=lambda clip: (rows[clip.class_id], clip.step, clip.clip, clip.is_continuation))),
        config_text=_config_text(run.config, problems),
        problems=tuple(problems),
    )


def _shown(path: Path) -> str:
    return display(Path(path.parent.name, path.name))


def _read_object(path: Path) -> dict[str, Any]:
    value = json.loads(path.read_bytes())
    if not isinstance(value, dict):
        raise TypeError(f"expected a JSON object, found {type(value).__name__}")
    return value


def _data_facts(path: Path, problems: list[str]) -> dict[str, Any]:
    try:
        return _read_object(path)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError) as error:
        problems.append(f"{_shown(path)} cannot be read, so the data is not described: {error}")
        return {}


def entries_of(facts: Mapping[str, Any], key: str) -> list[Any]:
    """The list ``facts[key]``, empty where it is missing or something else."""
    entries = facts.get(key)
    return entries if isinstance(entries, list) else []


def _config_text(path: Path, problems: list[str]) -> str:
    try:
        return path.read_bytes().decode("utf-8", "backslashreplace")
    except FileNotFoundError:
        return ""
    except OSError as error:
        problems.append(f"{_shown(path)} cannot be read: {error}")
        return ""


def _history(run: RunPaths, problems: list[str]) -> History:
    try:
        return read_history(run)
    except (WavenetError, OSError, ValueError, TypeError, KeyError) as error:
        problems.append(f"The history of the run cannot be read: {error}")
        return History(steps=[], validations=[], attempts=[])


def _checkpoints(run: RunPaths, problems: list[str]) -> tuple[Committed, ...]:
    try:
        return tuple(list_committed(run))
    except (WavenetError, OSError, ValueError, TypeError, KeyError) as error:
        problems.append(f"The list of checkpoints cannot be read: {error}")
        return ()


def _classes(data: Mapping[str, Any], clips: list[GeneratedClip], problems: list[str]) -> tuple[ClassRow, ...]:
    """The classes of the data, most training audio first, then those known from generated audio alone."""
    rows: dict[int, ClassRow] = {}
    for entry in entries_of(data, "classes"):
        try:
            row = ClassRow(
                class_id=int(entry["id"]),
                name=str(entry["name"]),
                num_recordings=int(entry.get("num_recordings", 0)),
                num_clips=int(entry.get("num_clips", 0)),
                train_hours=_finite(entry.get("train_hours", 0.0)),
                validation_hours=_finite(entry.get("validation_hours", 0.0)),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            problems.append(f"data.json: a class cannot be read: {error!r}")
        else:
            rows[row.class_id] = row
    for clip in clips:
        rows.setdefault(clip.class_id, ClassRow(clip.class_id, clip.class_name))
    return tuple(sorted(rows.values(), key=lambda row: (-row.train_hours, row.class_id)))


def _generated_clips(folder: Path, problems: list[str]) -> list[GeneratedClip]:
    clips = []
    for path in sorted(folder.glob("gen_*.json")):
        try:
            clips.append(_generated_clip(path))
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            reason = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)
            problems.append(f"{_shown(path)} is left out: {reason}")
    return clips


def _generated_clip(path: Path) -> GeneratedClip:
    facts = _read_object(path)
    wav = _sibling(path, facts.get("wav"))
    audio = _sibling(path, facts.get("mp3")) or wav
    if audio is None:
        raise ValueError("neither its MP3 nor its WAV is there")
    taken = facts.get("seconds_taken", {})
    join = facts.get("join_seconds")
    return GeneratedClip(
        class_id=int(facts["class_id"]),
        class_name=str(facts["class_name"]),
        step=int(facts["step"]),
        clip=int(facts.get("clip", 0)),
        is_continuation=facts.get("priming") == "continuation",
        join_seconds=None if join is None else _finite(join),
        source=str(facts.get("source") or ""),
        seconds=_finite(facts["seconds"]),
        seed=int(facts.get("seed", 0)),
        stream=int(facts.get("stream", 0)),
        settings=_settings(facts),
        weights=str(facts.get("weights", "raw")),
        compute_seconds=sum(_finite(value) for value in taken.values()),
        samples_per_second=_finite(facts.get("samples_per_second", 0.0)),
        audio=audio,
        wav=wav,
    )


def _sibling(path: Path, name: object) -> Path | None:
    """The file ``name`` beside ``path``, None unless it exists; a name that leaves the folder is refused."""
    if not name:
        return None
    if not isinstance(name, str) or Path(name).name != name or not name.isprintable():
        raise ValueError(f"{name!r} must be the plain name of an audio file beside it")
    sibling = path.with_name(name)
    return sibling if sibling.is_file() else None


def _settings(facts: Mapping[str, Any]) -> str:
    """How the clip was drawn, in words; equal for most clips of a run."""
    parts = [
        f"temperature {_finite(facts.get('temperature', 1.0)):g}",
        f"{'averaged (EMA)' if facts.get('weights') == 'ema' else 'raw'} weights",
        f"seed {int(facts.get('seed', 0))}",
    ]
    if int(facts.get("top_k", 0)) > 0:
        parts.insert(1, f"top {int(facts['top_k'])} levels")
    if _finite(facts.get("top_p", 1.0)) < 1.0:
        parts.insert(1, f"top {_finite(facts['top_p']):g} of the probability")
    if facts.get("variant"):
        parts.append(f"kernel {facts['variant']}")
    return ", ".join(parts)


def _finite(value: Any) -> float:
    """``value`` as a number that JSON and a chart can hold."""
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{number} is not a finite number")
    return number
