"""What ``--help`` prints, made from the table of verbs and from the keys' own descriptions."""

from __future__ import annotations

import enum
import shutil
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from jobs.cluster import list_profiles
from jobs.keys.compose import DEFAULT_PRESET, list_presets, shown_values
from jobs.keys.overrides import DERIVED
from jobs.keys.structure import Key, keys_of

_NAME_WIDTH = 44
_CHOICES = {"model": DEFAULT_PRESET, "cluster": "local"}


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


def of_verb(name: str, summary: str, schema: type, arguments: Sequence[str] = ()) -> str:
    """The keys of one verb, its own first and then group by group, with their values under ``arguments``.

    So ``wavenet train model=reference --help`` shows what the reference's values are.
    """
    keys = [key for key in keys_of(schema) if key.name not in DERIVED]
    values = shown_values(name, schema, arguments)
    own = [key for key in keys if "." not in key.name and (not key.is_group or key.name in _CHOICES)]
    lines = [f"wavenet {name}: {summary}", "", f"usage: wavenet {name} [key=value ...]", "", *_lines(own, values)]
    groups = sorted((key for key in keys if key.is_group), key=lambda group: group.name.startswith("cluster"))
    for group in groups:
        members = [key for key in keys if key.name.rpartition(".")[0] == group.name and not key.is_group]
        lines += ["", *_lines(members, values)]
    return "\n".join(lines)


def _lines(keys: Iterable[Key], values: Mapping[str, Any]) -> list[str]:
    width = max(60, shutil.get_terminal_size((110, 24)).columns)
    lines: list[str] = []
    for key in keys:
        head = f"  {key.name}={_CHOICES.get(key.name) or _value(values[key.name])}"
        text = textwrap.wrap(_meaning(key), width - _NAME_WIDTH) or [""]
        if len(head) >= _NAME_WIDTH:
            lines.append(head)
            head = ""
        lines.append(f"{head:<{_NAME_WIDTH}}{text[0]}".rstrip())
        lines += [" " * _NAME_WIDTH + line for line in text[1:]]
    return lines


def _meaning(key: Key) -> str:
    if key.name == "model":
        return f"preset of model and training: {', '.join(list_presets())}"
    if key.name == "cluster":
        return f"profile: {', '.join(list_profiles())}, or the path of one; slurm where there is one"
    kind = f" ({key.values})" if isinstance(key.type, type) and issubclass(key.type, enum.Enum) else ""
    return f"{key.meaning}{kind}{' (required)' if key.is_required else ''}"


def _value(value: Any) -> str:
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{','.join(_value(one) for one in value)}]"
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)
