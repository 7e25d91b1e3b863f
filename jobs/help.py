"""What ``--help`` prints, made from the table of verbs and from the keys' own descriptions."""

from __future__ import annotations

import enum
import shutil
import textwrap
from collections.abc import Iterable, Sequence
from typing import Protocol

from jobs.cluster import list_profiles
from jobs.compose import list_presets
from jobs.overrides import DERIVED
from jobs.structure import Key, keys_of

_NAME_WIDTH = 44


class Described(Protocol):
    """A name and its one-line meaning."""

    @property
    def name(self) -> str: ...
    @property
    def summary(self) -> str: ...


def overview(verbs: Sequence[Described]) -> str:
    """The verbs, one line each."""
    lines = [f"  {verb.name:<10}{verb.summary}" for verb in verbs]
    return "\n".join(
        [
            "Train WaveNet on a folder of tagged music, and generate audio from it.",
            "",
            "usage: wavenet VERB [key=value ...]",
            "",
            *lines,
            "",
            "wavenet VERB --help    its keys, with their defaults",
            "wavenet --version      the version",
        ]
    )


def of_verb(name: str, summary: str, schema: type) -> str:
    """The keys of one verb: those of its own first, then group by group."""
    keys = [key for key in keys_of(schema) if key.name not in DERIVED]
    own = [key for key in keys if "." not in key.name and (not key.is_group or key.name in ("model", "cluster"))]
    lines = [f"wavenet {name}: {summary}", "", f"usage: wavenet {name} [key=value ...]", "", *_lines(own)]
    for group in (key for key in keys if key.is_group):
        members = [key for key in keys if key.name.startswith(f"{group.name}.") and not key.is_group]
        lines += ["", *_lines(members)]
    return "\n".join(lines)


def _lines(keys: Iterable[Key]) -> list[str]:
    width = max(60, shutil.get_terminal_size((110, 24)).columns)
    lines: list[str] = []
    for key in keys:
        head = f"  {_head(key)}"
        text = textwrap.wrap(_meaning(key), width - _NAME_WIDTH) or [""]
        if len(head) >= _NAME_WIDTH:
            lines.append(head)
            head = ""
        lines.append(f"{head:<{_NAME_WIDTH}}{text[0]}".rstrip())
        lines += [" " * _NAME_WIDTH + line for line in text[1:]]
    return lines


def _head(key: Key) -> str:
    if key.name == "model":
        return "model=tiny"
    if key.name == "cluster":
        return "cluster=local"
    return f"{key.name}={'' if key.is_required else _value(key.default)}"


def _meaning(key: Key) -> str:
    if key.name == "model":
        return f"preset of model and training: {', '.join(list_presets())}"
    if key.name == "cluster":
        return f"profile: {', '.join(list_profiles())}, or the path of one; slurm where there is one"
    kind = f" ({key.values})" if isinstance(key.default, enum.Enum) else ""
    return f"{key.meaning}{kind}{' (required)' if key.is_required else ''}"


def _value(value: object) -> str:
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, tuple):
        return f"[{','.join(_value(one) for one in value)}]"
    if isinstance(value, bool):
        return str(value).lower()
    return "null" if value is None else str(value)
