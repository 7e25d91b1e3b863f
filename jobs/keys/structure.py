"""From frozen dataclasses to a schema that OmegaConf checks, and from a checked tree back to frozen values."""

from __future__ import annotations

import enum
import inspect
import re
import types
import typing
from collections.abc import Iterator
from dataclasses import MISSING as NO_DEFAULT
from dataclasses import Field, dataclass, fields, is_dataclass
from typing import Any, TypeVar

from omegaconf import MISSING, Container, DictConfig, OmegaConf

T = TypeVar("T")

WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}


@dataclass(frozen=True)
class Key:
    """One key of the command line: its dotted name, type, default (`MISSING` where it must be given) and meaning."""

    name: str
    type: Any
    default: Any
    meaning: str

    @property
    def is_group(self) -> bool:
        return is_dataclass(self.type)

    @property
    def is_required(self) -> bool:
        return isinstance(self.default, str) and self.default == MISSING

    @property
    def values(self) -> str:
        """What the key takes, in words."""
        return describe(self.type)


def describe(type_: Any) -> str:
    """What a value of this type looks like, in words."""
    if isinstance(type_, type) and issubclass(type_, enum.Enum):
        return f"one of {', '.join(type_.__members__)}"
    if typing.get_origin(type_) is tuple:
        element = typing.get_args(type_)[0]
        kind = {int: "whole numbers", float: "numbers"}.get(element, "texts")
        if isinstance(element, type) and issubclass(element, enum.Enum):
            kind = f"some of {', '.join(element.__members__)}"
        return f"a list of {kind}, such as {example_list(element)}"
    if is_optional(type_):
        return f"{describe(typing.get_args(type_)[0])}, or null"
    return WORDS.get(type_, "a value")


def example_list(element: Any) -> str:
    if isinstance(element, type) and issubclass(element, enum.Enum):
        return f"[{', '.join(list(element.__members__)[:2])}]"
    return "[10,20]" if element in (int, float) else "[one,two]"


def is_optional(type_: Any) -> bool:
    return typing.get_origin(type_) in (types.UnionType, typing.Union) and type(None) in typing.get_args(type_)


def keys_of(schema: type, prefix: str = "") -> Iterator[Key]:
    """Every key of ``schema``, groups before their members, in the order of declaration."""
    hints, described = typing.get_type_hints(schema), _arguments(schema)
    for field in fields(schema):
        name = f"{prefix}{field.name}"
        meaning = field.metadata.get("help") or described.get(field.name, "")
        yield Key(name, hints[field.name], _default(field), meaning)
        if is_dataclass(hints[field.name]):
            yield from keys_of(hints[field.name], f"{name}.")


def _arguments(schema: type) -> dict[str, str]:
    """Meanings from the ``Args:`` of a docstring, for classes whose fields carry none of their own."""
    section = re.search(r"Args:\n(.*?)(?:\n\s*\n|\Z)", inspect.getdoc(schema) or "", re.DOTALL)
    entries = re.findall(r"^ {4}(\w[\w, ]*): (.*(?:\n {5,}.*)*)", section[1] if section else "", re.MULTILINE)
    return {name.strip(): " ".join(text.split()).rstrip(".") for names, text in entries for name in names.split(",")}


def _default(field: Field[Any]) -> Any:
    if field.default is not NO_DEFAULT:
        return field.default
    return field.default_factory() if field.default_factory is not NO_DEFAULT else MISSING


def node_of(schema: type) -> DictConfig:
    """A node that accepts the keys of ``schema`` and no others, each with its type, holding the defaults.

    Frozen dataclasses come out of OmegaConf read-only and would refuse every override, so that flag is lifted; the
    values become frozen again in `freeze`. Groups are made from their type, not from an instance: a group's own
    check may need values that only the command line or the data gives.
    """
    hints = typing.get_type_hints(schema)
    groups = {name: hint for name, hint in hints.items() if is_dataclass(hint)}
    node = OmegaConf.structured(schema)
    _lift_read_only(node)
    for name, group in groups.items():
        node[name] = node_of(typing.cast(type, group))
    return typing.cast(DictConfig, node)


def _lift_read_only(node: Any) -> None:
    if isinstance(node, Container):
        node._set_flag("readonly", None)
        names = node if isinstance(node, DictConfig) else range(len(typing.cast(Any, node)))
        for name in list(names):
            _lift_read_only(node._get_node(name))


def freeze(schema: type[T], values: dict[str, Any]) -> T:
    """The frozen value of ``schema`` from plain containers: lists become tuples, names become enum members.

    Raises:
        UsageError: from the dataclass's own check of its values.
    """
    hints = typing.get_type_hints(schema)
    return schema(**{name: _frozen_value(hints[name], value) for name, value in values.items()})


def _frozen_value(type_: Any, value: Any) -> Any:
    if value is None:
        return None
    if is_optional(type_):
        return _frozen_value(typing.get_args(type_)[0], value)
    if is_dataclass(type_):
        return freeze(typing.cast(type, type_), value)
    if typing.get_origin(type_) is tuple:
        return tuple(_frozen_value(typing.get_args(type_)[0], one) for one in value)
    if isinstance(type_, type) and issubclass(type_, enum.Enum):
        return value if isinstance(value, type_) else type_[value]
    return value


def thaw(value: Any) -> Any:
    """The inverse of `freeze`: plain dicts, lists, texts and numbers, as a YAML or JSON file holds them."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: thaw(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple | list):
        return [thaw(one) for one in value]
    return value.name if isinstance(value, enum.Enum) else value
