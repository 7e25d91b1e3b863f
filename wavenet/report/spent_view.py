"""Where the time of a run went, in the page's words and as the values of its figure."""

from __future__ import annotations

from typing import Any

from wavenet.report import words
from wavenet.report.gather import Material
from wavenet.training.spent import Account, Spent, Stalls, account_of

_PARTS = (
    ("steps", "steps that counted"),
    ("validation", "validation"),
    ("commits", "saving checkpoints"),
    ("lost", "steps made again"),
    ("startup", "start-up"),
    ("loading", "loading"),
    ("other", "anything else"),
    ("queue", "in the queue"),
)
_COUNTING = ("steps", "validation")
_UNITS = ((7200.0, "hours", 3600.0), (180.0, "minutes", 60.0), (0.0, "seconds", 1.0))


def account(material: Material) -> Account:
    """All attempts of the run together."""
    return account_of(attempt.spent for attempt in material.history.attempts)


def time_chart(material: Material) -> dict[str, Any]:
    """For each part its time in one unit, and in words; no parts where the histories do not tell."""
    spent = account(material)
    if spent.goodput is None:
        return {"unit": "seconds", "parts": []}
    seconds = [(key, name, float(getattr(spent, key))) for key, name in _PARTS]
    longest = max(value for _, _, value in seconds)
    unit, length = next((name, length) for least, name, length in _UNITS if longest >= least)
    parts = [
        {
            "name": name,
            "value": float(f"{value / length:.6g}"),
            "text": words.duration(value),
            "counts": key in _COUNTING,
        }
        for key, name, value in seconds
        if value > 0
    ]
    return {"unit": unit, "parts": parts}


def goodput(material: Material) -> str:
    """The share of the used time in steps that counted."""
    share = account(material).goodput
    return "–" if share is None else f"{100 * share:.1f} %"


def time_sentence(material: Material) -> str:
    """How much was used and wasted; empty where the histories do not tell."""
    spent = account(material)
    if spent.goodput is None:
        return ""
    waited = f" Beside them, {words.duration(spent.queue)} were waited in a queue." if spent.queue else ""
    return (
        f"Of {words.duration(spent.used)} used, {100 * spent.goodput:.1f} % went into steps that counted (goodput); "
        f"{words.duration(spent.wasted)} were wasted: nothing was computed in them that counts.{waited}"
    )


def stall_sentence(material: Material) -> str:
    """For how long training stood still at commits; empty before the first one."""
    stalls = material.history.stalls
    if stalls is None:
        return ""
    used = account(material)
    share = f", {100 * used.commits / used.used:.2g} % of the time" if used.used else ""
    return (
        f"Training stood still for {words.count(stalls.count, 'commit')}: half of them took at most "
        f"{words.duration(stalls.p50)} (p50), 99 % at most {words.duration(stalls.p99)} (p99){share}.{_bound(stalls)}"
    )


def _bound(stalls: Stalls) -> str:
    if stalls.interval is None:
        return ""
    return (
        f" The clock asks for one every {words.duration(stalls.interval)}: a kill costs the work of no more than that."
    )


def attempt_times(spent: Spent) -> dict[str, str]:
    """Of one attempt, a dash where it did not come so far or never waited."""
    parts = {"queue": spent.queue, "startup": spent.startup, "loading": spent.loading, "first_step": spent.first_step}
    return {name: "–" if seconds is None else words.duration(seconds) for name, seconds in parts.items()}
