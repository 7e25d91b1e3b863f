"""Compose a verb's configuration: presets and profiles by name, a run's frozen values, then what was typed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from hydra import compose, initialize_config_module
from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from jobs.cluster import ClusterConfig, list_profiles, read_profile
from jobs.environment import default_cluster
from jobs.folders import DEFAULT_ROOT, run_paths
from jobs.keys.frozen import read_config
from jobs.keys.overrides import Override, read_overrides, unquote
from jobs.keys.structure import Key, freeze, keys_of, node_of
from wavenet.errors import InputError, UsageError, WavenetError, did_you_mean
from wavenet.model.config import Conditioning

T = TypeVar("T")

_PRESETS = Path(__file__).parent.parent / "configs" / "model"
DEFAULT_PRESET = "tiny"
_OWN_PROFILE = "own_profile"  # the name in Hydra's group of a profile that was given by its path


def list_presets() -> list[str]:
    """Names of the model presets."""
    return sorted(path.stem for path in _PRESETS.glob("*.yaml"))


def compose_keys(verb: str, schema: type[T], arguments: Sequence[str], frozen: Mapping[str, Any] | None = None) -> T:
    """The frozen configuration of a verb.

    Later ones win: the schema's defaults, the preset, the profile, what was typed. The ``frozen`` values of a run that
    goes on (``preset`` and keys of the schema) take the place of the default preset; another preset that is typed
    comes on top of them.

    Raises:
        UsageError: an unknown key, preset or profile, a value of another type or out of range, a missing key.
    """
    frozen = frozen or {}
    keys = {key.name: key for key in keys_of(schema)}
    node, typed = _composed(verb, schema, keys, arguments, frozen)
    _require_given(verb, keys, node)
    values = _with_derived(_resolved(node))
    if "preset" in keys:
        values["preset"] = typed["model"].text if "model" in typed else frozen.get("preset", DEFAULT_PRESET)
    return freeze(schema, values)


def shown_values(verb: str, schema: type, arguments: Sequence[str]) -> dict[str, Any]:
    """Every key's value by its dotted name, as it would be with ``arguments``; words that are wrong do not count."""
    keys = {key.name: key for key in keys_of(schema)}
    try:
        node, _ = _composed(verb, schema, keys, arguments, {})
    except WavenetError:
        node, _ = _composed(verb, schema, keys, [], {})
    return {name: OmegaConf.select(node, name) for name in keys}


def _composed(
    verb: str, schema: type, keys: Mapping[str, Key], arguments: Sequence[str], frozen: Mapping[str, Any]
) -> tuple[DictConfig, dict[str, Override]]:
    """The checked tree of values, and what was typed by key."""
    arguments, profiles = _with_profiles(arguments) if "cluster" in keys else (list(arguments), {})
    groups = {"model": list_presets(), "cluster": sorted({*list_profiles(), *profiles})}
    choices = {name: names for name, names in groups.items() if name in keys}
    typed = read_overrides(verb, schema, arguments, choices)
    if "model" in typed and typed["model"].text == frozen.get("preset"):
        del typed["model"]
    defaults: list[Any] = ["_self_"]
    if "model" in keys and (not frozen or "model" in typed):
        defaults.append({"model": DEFAULT_PRESET})
    if "cluster" in keys:
        defaults.append({"cluster": default_cluster()})
    _register(verb, _primary(schema, keys, frozen, defaults), profiles)
    with initialize_config_module("jobs.configs", version_base="1.3"):
        return compose(f"{verb}_keys", [override.hydra for override in typed.values()]), typed


def compose_for_run(verb: str, schema: type[T], arguments: Sequence[str]) -> T:
    """`compose_keys` on top of what the named run has frozen, where the verb has a run and the run has begun.

    Raises:
        UsageError: as `compose_keys`.
        InputError: the run's configuration cannot be read.
    """
    names = {field.name for field in fields(schema)}  # type: ignore[arg-type]  # every schema is a dataclass
    run, root = _typed_text("run", arguments), _typed_text("root", arguments) or DEFAULT_ROOT
    frozen = read_config(run_paths(run, root)) if run and "run" in names else None
    return compose_keys(verb, schema, arguments, frozen)


def _typed_text(name: str, arguments: Sequence[str]) -> str:
    """The last value typed for a text key, before anything is composed: it decides what to compose from."""
    values = [argument.partition("=")[2] for argument in arguments if argument.startswith(f"{name}=")]
    return unquote(values[-1]) if values else ""


def _with_profiles(arguments: Sequence[str]) -> tuple[list[str], dict[str, dict[str, Any]]]:
    """The profiles that are needed, and the arguments with a profile's path replaced by a name."""
    known, needed = list_profiles(), {default_cluster()}
    profiles: dict[str, dict[str, Any]] = {}
    named: list[str] = []
    for argument in arguments:
        key, _, value = argument.partition("=")
        is_path = key == "cluster" and ("/" in value or value.endswith((".yaml", ".yml")))
        if is_path:
            profiles[_OWN_PROFILE] = _checked_profile(value)
        elif key == "cluster" and unquote(value) in known:
            needed.add(unquote(value))
        named.append(f"cluster={_OWN_PROFILE}" if is_path else argument)
    return named, profiles | {name: _checked_profile(name) for name in needed}


def _checked_profile(name: str) -> dict[str, Any]:
    profile = read_profile(name)
    node, keys = node_of(ClusterConfig), {key.name: key for key in keys_of(ClusterConfig)}
    for field, found in _dotted(profile, keys):
        if field not in keys:
            raise UsageError(f"the cluster profile {name!r} has no field {field!r}{did_you_mean(field, keys)}")
        try:
            OmegaConf.update(node, field, found)
        except OmegaConfBaseException as error:
            must_be = "fields of its own" if keys[field].is_group else keys[field].values
            sentence = f"the cluster profile {name!r} sets {field}: it must be {must_be}, got {found!r}"
            raise UsageError(sentence) from error
    return profile


def _dotted(values: Mapping[str, Any], keys: Mapping[str, Key], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The values by their dotted names, those of a group one by one."""
    for name, value in values.items():
        field = f"{prefix}{name}"
        if field in keys and keys[field].is_group and isinstance(value, Mapping):
            yield from _dotted(value, keys, f"{field}.")
        else:
            yield field, value


def _primary(schema: type, keys: Mapping[str, Key], frozen: Mapping[str, Any], defaults: list[Any]) -> DictConfig:
    node = node_of(schema)
    known = {name: value for name, value in frozen.items() if name in keys}
    try:
        node.merge_with(known)
    except OmegaConfBaseException as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"the run's config.yaml must hold what this version writes: {reason}") from error
    with open_dict(node):
        node["defaults"] = defaults
    return node


def _register(verb: str, primary: DictConfig, profiles: Mapping[str, dict[str, Any]]) -> None:
    store = ConfigStore.instance()
    store.store(name=f"{verb}_keys", node=primary)
    for name, profile in profiles.items():
        store.store(group="cluster", name=name, node=profile)


def _require_given(verb: str, keys: Mapping[str, Key], node: DictConfig) -> None:
    for key in keys.values():
        if key.is_required and not key.is_group and OmegaConf.is_missing(node, key.name):
            raise UsageError(f"`wavenet {verb}` needs {key.name}=: {key.meaning}")


def _with_derived(values: dict[str, Any]) -> dict[str, Any]:
    """Fill in what is never typed; with conditioning by label the data gives the number of classes later."""
    model = values.get("model", {})
    if "conditioning" in model:
        model["num_conditions"] = 0 if model["conditioning"] is Conditioning.none else max(1, model["num_conditions"])
    return values


def _resolved(node: DictConfig) -> dict[str, Any]:
    try:
        values: Any = OmegaConf.to_container(node, resolve=True)
        return dict(values)
    except OmegaConfBaseException as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"a value refers by ${{...}} to a key that cannot be found: {reason}") from error
