"""The words after the verb, checked one by one before Hydra sees them, so that a slip costs one sentence.

Hydra's grammar gives ``,``, ``(``, ``&``, ``${`` and more a meaning. Values of text keys are quoted here, so that
``source=/music/Rock & Roll (live), vol. 2`` is simply that folder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import OverrideParseException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from jobs.keys.structure import Key, keys_of, node_of
from wavenet.errors import UsageError, did_you_mean

FLAGS = {"--json": "json=true", "--dry-run": "dry_run=true", "--watch": "watch=true"}
DERIVED = {"model.num_conditions": "the number of classes in the data", "preset": "what model= says"}
_LIST_AT_MOST = 14  # names in a sentence; more are better read in the help


@dataclass(frozen=True)
class Override:
    """One ``key=value`` that names an existing key and holds a value of its type."""

    name: str
    text: str
    """The value as typed."""
    hydra: str
    """The same in Hydra's grammar."""


def read_overrides(
    verb: str, schema: type, arguments: Sequence[str], choices: Mapping[str, Sequence[str]]
) -> dict[str, Override]:
    """The overrides by key; where a key is given twice, the last one counts.

    Args:
        verb: the verb, for the sentences.
        schema: dataclass of the verb's keys.
        arguments: what was typed after the verb.
        choices: names of the presets of each group that has presets.

    Raises:
        UsageError: a word that is no ``key=value``, an unknown key or preset, a value of another type.
    """
    keys = {key.name: key for key in keys_of(schema)}
    overrides: dict[str, Override] = {}
    for argument in arguments:
        override = _read_one(verb, keys, schema, FLAGS.get(argument, argument), choices)
        overrides.pop(override.name, None)
        overrides[override.name] = override
    return overrides


def _read_one(
    verb: str, keys: Mapping[str, Key], schema: type, argument: str, choices: Mapping[str, Sequence[str]]
) -> Override:
    name, separator, text = argument.partition("=")
    if not separator:
        bare = argument.lstrip("-").replace("-", "_")
        hint = f"; did you mean {bare}=...?" if bare in keys else f"; see `wavenet {verb} --help`"
        raise UsageError(f"options are given as key=value, got {argument!r}{hint}")
    if name.startswith("--") and name.lstrip("-").replace("-", "_") in keys:
        raise UsageError(f"keys have no dashes in front, got {argument!r}; write {argument.lstrip('-')}")
    if name not in keys:
        raise UsageError(_unknown(verb, keys, name))
    if name in DERIVED:
        raise UsageError(f"{name} cannot be set, got {text!r}: it is {DERIVED[name]}")
    key = keys[name]
    if name in choices:
        return _read_choice(name, text, choices[name])
    if key.is_group:
        member = next(one for one in keys if one.startswith(f"{name}."))
        raise UsageError(f"{name} is a group of keys and takes no value; set one of its keys, such as {member}=")
    quoted = f"{name}={quote(text)}" if key.type is str else argument
    _check_value(key, schema, quoted, text)
    return Override(name, text, quoted)


def _unknown(verb: str, keys: Mapping[str, Key], name: str) -> str:
    """Misspelt: compare with the names at the same depth first, then with all."""
    group = name.rpartition(".")[0]
    near = [one for one in keys if one.rpartition(".")[0] == group]
    hint = did_you_mean(name, near)
    if not hint.startswith("; did you mean"):
        elsewhere = did_you_mean(name, keys)
        by_last_word = [one for one in keys if one.rpartition(".")[2] == name.rpartition(".")[2]]
        if by_last_word:
            hint = f"; did you mean {by_last_word[0]!r}?"
        elif elsewhere.startswith("; did you mean"):
            hint = elsewhere
        elif not near or len(near) > _LIST_AT_MOST:
            hint = f"; see `wavenet {verb} --help`"
    return f"`wavenet {verb}` has no key {name!r}{hint}"


def _read_choice(name: str, text: str, valid: Sequence[str]) -> Override:
    if text not in valid:
        kind = "preset" if name == "model" else "profile"
        raise UsageError(f"{name}={text}: there is no {kind} of that name{did_you_mean(text, valid)}")
    return Override(name, text, f"{name}={text}")


def quote(text: str) -> str:
    """``text`` as a quoted value of Hydra's grammar that comes out unchanged; a text already in quotes keeps them.

    Backslashes count only before a quote there, and OmegaConf would look up ``${...}``.
    """
    pieces = unquote(text).replace("${", "\\${").split("'")
    doubled = [piece + "\\" * _trailing_backslashes(piece) for piece in pieces]
    return "'" + "\\'".join(doubled) + "'"


def unquote(text: str) -> str:
    """``text`` without the pair of quotes around it, if there is one."""
    return text[1:-1] if len(text) >= 2 and text[0] == text[-1] and text[0] in "'\"" else text


def _trailing_backslashes(text: str) -> int:
    return len(text) - len(text.rstrip("\\"))


def _check_value(key: Key, schema: type, quoted: str, text: str) -> None:
    sentence = f"{key.name} must be {key.values}, got {text!r}"
    try:
        override = OverridesParser.create().parse_override(quoted)
        if override.is_sweep_override():
            raise UsageError(sentence)
        node = node_of(schema)
        OmegaConf.update(node, key.name, override.value())
        OmegaConf.select(node, key.name)
    except (OverrideParseException, OmegaConfBaseException) as error:
        raise UsageError(sentence) from error
