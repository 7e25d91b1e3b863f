"""One thing that was looked at, whether it will do, and the remedy where it will not."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass


class Level(enum.Enum):
    """How it is."""

    ok = "ok"
    warning = "warning"
    """It works, but not as well as it might, or differently from what one expects."""
    problem = "problem"
    """Something will not work."""


@dataclass(frozen=True)
class Finding:
    """What was found, in words that somebody new to clusters understands; ``check`` is its name for programs."""

    group: str
    check: str
    level: Level
    found: str
    remedy: str = ""

    def to_dict(self) -> dict[str, str]:
        """For JSON."""
        return {
            "group": self.group,
            "check": self.check,
            "level": self.level.value,
            "found": self.found,
            "remedy": self.remedy,
        }

    @classmethod
    def from_dict(cls, values: dict[str, str]) -> Finding:
        """The inverse of `to_dict`."""
        return cls(values["group"], values["check"], Level(values["level"]), values["found"], values.get("remedy", ""))


@dataclass(frozen=True)
class Group:
    """Makes the findings of one group."""

    name: str

    def ok(self, check: str, found: str) -> Finding:
        return Finding(self.name, check, Level.ok, found)

    def warning(self, check: str, found: str, remedy: str) -> Finding:
        return Finding(self.name, check, Level.warning, found, remedy)

    def problem(self, check: str, found: str, remedy: str) -> Finding:
        return Finding(self.name, check, Level.problem, found, remedy)


def count(findings: Iterable[Finding], level: Level) -> int:
    """How many are of this level."""
    return sum(finding.level is level for finding in findings)
