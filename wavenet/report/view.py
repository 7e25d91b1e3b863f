"""What the template shows: `Material` turned into titles, rows and sentences, with no markup in them."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from wavenet.report import words
from wavenet.report.curves import Restart, restarts
from wavenet.report.gather import GeneratedClip, Material, entries_of
from wavenet.report.samples import pair_seconds
from wavenet.report.spent_view import attempt_times, goodput
from wavenet.training.history import AttemptRow

_STATES = {
    "running": "running",
    "finished": "finished",
    "user": "stopped by the user",
    "preemption": "interrupted by preemption",
    "time limit": "interrupted by the time limit",
    "requeue": "interrupted by a requeue",
    "node failure": "interrupted by a node failure",
    "crash": "ended by a crash",
    "hang": "ended by a hang",
    "out of memory": "ended for want of memory",
    "hours used up": "stopped: its hours are used up",
    "nan loss": "stopped: the loss was no number",
}


_AFTER = {"user": "a stop by the user", "time limit": "a time limit", "node failure": "a node failure",
          "requeue": "a requeue", "crash": "a crash", "hang": "a hang",
          "out of memory": "memory that ran out", "hours used up": "the end of its hours",
          "finished": "an earlier end"}  # fmt: skip


@dataclass(frozen=True)
class Timing:
    """Computing time of the clips of one checkpoint, or of all."""

    label: str
    num_pairs: int
    num_clips: int
    mean_per_pair: str
    shortest: str
    longest: str
    total: str
    samples_per_second: str


def heading(material: Material, title: str) -> dict[str, Any]:
    """Title, state and the figures of merit at the top of the page."""
    attempts, steps = material.history.attempts, material.history.steps
    hours = sum(row.train_hours + row.validation_hours for row in material.classes)
    merits = [
        ("Audio", words.hours(hours) if hours else "–"),
        ("Genres" if all(row.name.isidentifier() for row in material.classes) else "Classes",
         f"{len(material.classes):,}"),
        ("Step", _progress(material)),
        ("Loss", f"{steps[-1].loss:.3f}" if steps else "–"),
        ("Goodput", goodput(material)),
        ("Restarts", f"{max(0, len(attempts) - 1):,}"),
        ("Clips made", f"{len(material.clips):,}"),
    ]  # fmt: skip
    return {
        "title": title or material.name,
        "run": material.name,
        "state": _STATES.get(attempts[-1].cause, attempts[-1].cause) if attempts else "not started",
        "merits": merits,
    }


def _progress(material: Material) -> str:
    attempts, steps = material.history.attempts, material.history.steps
    if not attempts:
        return "–"
    return f"{steps[-1].step if steps else 0:,} of {attempts[-1].num_steps:,}"


def missing(material: Material) -> list[str]:
    """One sentence for each part of the run that has not happened yet."""
    history = material.history
    parts = [
        (material.data, "There are no facts about the data yet: the run has not been started."),
        (history.steps, "No step of training is done yet."),
        (history.validations, "There is no validation loss yet."),
        (material.checkpoints, "No checkpoint is committed yet."),
        (material.clips, "Nothing is generated yet."),
        (material.config_text, "The run has no frozen configuration yet."),
    ]
    return [sentence for part, sentence in parts if not part]


def training_sentence(material: Material) -> str:
    """The training in one sentence, for readers and as the alternative text of its figure."""
    steps = material.history.steps
    if not steps:
        return ""
    first, last = steps[0], steps[-1]
    return (
        f"From step {first.step:,} to {last.step:,} the training loss went from {first.loss:.3f} to {last.loss:.3f} "
        f"nats per sample ({words.bits(last.loss):.2f} bits; guessing would be 8), over "
        f"{words.count(len(material.history.attempts), 'attempt')}."
    )


def restart_sentence(material: Material) -> str:
    marks = restarts(material.history.attempts)
    if not marks:
        return "The training has not been restarted."
    by_cause: defaultdict[str, int] = defaultdict(int)
    for mark in marks:
        by_cause[mark.cause] += 1
    causes = ", ".join(f"{number:,} after {_AFTER.get(cause, cause)}" for cause, number in by_cause.items())
    moved, lost = sum(mark.is_moved for mark in marks), sum(mark.lost_steps for mark in marks)
    return (
        f"{words.count(len(marks), 'restart')}: {causes}. {moved:,} moved to another host; "
        f"{words.count(lost, 'step')} done twice in all.{_accepted_sentence(marks)}"
    )


def _accepted_sentence(marks: Iterable[Restart]) -> str:
    """Where the run went on as another one would, which is no restart like the others."""
    told = [f"after step {mark.step:,} with another {', '.join(mark.accepted)}" for mark in marks if mark.accepted]
    return f" At the user's word the run went on {'; '.join(told)}: from there on it is not bitwise the same." * bool(
        told
    )


def speed_sentence(material: Material, axis_top: float) -> str:
    seconds = [row.seconds for row in material.history.steps]
    if not seconds:
        return ""
    above = sum(value > axis_top for value in seconds)
    text = (
        f"A step took {words.duration(sum(seconds) / len(seconds))} on average, {words.duration(sum(seconds))} in all."
    )
    if above:
        longest = words.duration(max(seconds))
        text += f" {words.count(above, 'step')} took longer than the axis shows, the longest {longest}."
    return text


def captions(material: Material, seconds_axis_top: float) -> dict[str, tuple[str, str]]:
    """Label and caption of each figure."""
    return {
        "classes": ("Class distribution", "Hours of clips in each class, for training and held out, and recordings."),
        "loss": ("Loss against step", training_sentence(material)),
        "seconds": ("Seconds per step", speed_sentence(material, seconds_axis_top)),
        "validation": ("Validation loss", "Loss on held-out clips, of all classes together and of each one."),
        "time": (
            "Where the time went",
            "How long all attempts took for each part, and how long they waited in a queue.",
        ),
        "generation": ("Generation time", "Seconds of computing for each genre × checkpoint pair."),
    }


def attempt_rows(material: Material) -> list[dict[str, str]]:
    """One row per attempt: where, when, which steps, what was lost and why it ended."""
    attempts = material.history.attempts
    marks: dict[int, Restart] = {mark.attempt: mark for mark in restarts(attempts)}
    following = [marks[after.attempt] for after in attempts[1:]]
    return [
        _attempt_row(attempt, marks.get(attempt.attempt), next_mark)
        for attempt, next_mark in itertools.zip_longest(attempts, following)
    ]


def _attempt_row(attempt: AttemptRow, mark: Restart | None, following: Restart | None) -> dict[str, str]:
    cause = following.cause if following else attempt.cause
    return {
        "number": str(attempt.attempt),
        "host": attempt.host,
        "moved": "moved" if mark and mark.is_moved else "",
        "job": attempt.job_id or "–",
        "restart": f"restart {attempt.restart_count:,}" if attempt.restart_count else "",
        "started": words.moment(attempt.started),
        "time": words.duration(attempt.spent.used) if attempt.ended else "–",
        "from": f"{attempt.resumed_step:,}",
        "to": f"{attempt.last_step:,}",
        "done": f"{max(0, attempt.last_step - attempt.resumed_step):,}",
        "lost": f"{attempt.lost_steps:,}",
        **attempt_times(attempt.spent),
        "cause": cause,
        "detail": "; ".join(filter(None, [attempt.detail, _stayed_away(attempt)])),
        "accepted": ", ".join(attempt.accepted),
        "damages": "; ".join(attempt.damages),
    }


def _stayed_away(attempt: AttemptRow) -> str:
    return f"it stayed away from {', '.join(attempt.excluded)}" if attempt.excluded else ""


def class_rows(material: Material) -> list[dict[str, str]]:
    return [
        {
            "name": row.name,
            "recordings": f"{row.num_recordings:,}",
            "clips": f"{row.num_clips:,}",
            "train": words.hours(row.train_hours),
            "held_out": words.hours(row.validation_hours),
        }
        for row in material.classes
    ]


def not_taken_rows(material: Material) -> list[tuple[str, str]]:
    """(reason, number of recordings), most first; entries of another form are passed over."""
    entries = entries_of(material.data, "not_taken")
    known = [entry for entry in entries if isinstance(entry, dict) and isinstance(entry.get("count"), int)]
    known.sort(key=lambda entry: -entry["count"])
    return [(str(entry.get("reason", "no reason given")), f"{entry['count']:,}") for entry in known]


def timings(material: Material) -> list[Timing]:
    """One row per checkpoint, then all together; empty where nothing is generated."""
    clips = material.clips
    rows = [_timing(f"step {step:,}", [clip for clip in clips if clip.step == step]) for step in material.steps]
    return [*rows, _timing("all checkpoints", clips)] if rows else []


def _timing(label: str, clips: Iterable[GeneratedClip]) -> Timing:
    clips = list(clips)
    pairs = list(pair_seconds(clips).values())
    speeds = [clip.samples_per_second for clip in clips if clip.samples_per_second > 0]
    return Timing(
        label=label,
        num_pairs=len(pairs),
        num_clips=len(clips),
        mean_per_pair=words.duration(sum(pairs) / len(pairs)),
        shortest=words.duration(min(pairs)),
        longest=words.duration(max(pairs)),
        total=words.duration(sum(pairs)),
        samples_per_second=f"{sum(speeds) / len(speeds):,.0f}" if speeds else "–",
    )


def links(material: Material) -> list[dict[str, Any]]:
    """For a browser without scripts: each class with (label, file name) of its clips."""
    by_class: defaultdict[int, list[tuple[str, str]]] = defaultdict(list)
    for clip in material.clips:
        label = (
            f"{clip.step:,}{' continued' if clip.is_continuation else ''}{f' #{clip.clip + 1}' if clip.clip else ''}"
        )
        by_class[clip.class_id].append((label, clip.audio.name))
    return [{"name": row.name, "clips": by_class[row.class_id]} for row in material.classes if by_class[row.class_id]]


def common_settings(material: Material) -> str:
    """How every clip was drawn, where that is the same for all; else empty, and each clip tells its own."""
    settings = {clip.settings for clip in material.clips}
    return settings.pop() if len(settings) == 1 else ""


def versions(material: Material) -> list[tuple[str, str]]:
    attempts = material.history.attempts
    return sorted((str(name), str(value)) for name, value in attempts[-1].versions.items()) if attempts else []


def written(now: datetime) -> str:
    return words.moment(now)
