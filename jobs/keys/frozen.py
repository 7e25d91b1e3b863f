"""The run's configuration: written once at its first start, compared at every later one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timezone
from typing import Any

import yaml

from jobs.keys.schema import Change, change_table
from jobs.keys.structure import freeze, thaw
from wavenet import durable
from wavenet.errors import InputError, MismatchError, UsageError, did_you_mean
from wavenet.model.config import ModelConfig
from wavenet.run_paths import RunPaths
from wavenet.training.config import TrainingConfig

FORMAT = 1


@dataclass(frozen=True)
class RunConfig:
    """What decides a run. ``data`` is the folder's path, which may change; ``data_digest`` what is in it."""

    preset: str
    seed: int
    data: str
    data_digest: str
    model: ModelConfig
    training: TrainingConfig


@dataclass(frozen=True)
class Difference:
    """One key in which a start disagrees with the run."""

    name: str
    old: Any
    new: Any
    change: Change


def read_config(run: RunPaths) -> dict[str, Any] | None:
    """The run's ``config.yaml`` as plain values, or None before its first start.

    Raises:
        InputError: the file is no configuration of ours.
    """
    try:
        text = run.config.read_text("utf-8")
        content = yaml.load(text, _Loader)  # noqa: S506 — a safe loader, in C where there is one
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{str(run.config)!r} must be a run's configuration in YAML: {reason}") from error
    needed = {"changes", *(field.name for field in fields(RunConfig))}
    if not isinstance(content, dict) or content.get("format") != FORMAT or not needed <= content.keys():
        raise InputError(f"{str(run.config)!r} must be a run's whole configuration of format {FORMAT}, and it is not")
    return {**content, "data": os.fsdecode(content["data"])}


_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def settle(run: RunPaths, wanted: RunConfig, accept: Sequence[str]) -> tuple[str, ...]:
    """Freeze ``wanted`` if this is the run's first start, else hold it against what is frozen.

    Extensions and accepted differences are written down, so that the next start without keys goes on with them.

    Returns:
        The keys of identity that differ and were accepted, of this start and of earlier ones.

    Raises:
        MismatchError: an identity key differs and ``accept`` does not name it.
        UsageError: ``accept`` names a key that does not exist.
        StorageError: the run folder cannot be written.
    """
    _check_accept(wanted, accept)
    durable.make_folder(run.root)
    content = {"format": FORMAT, **thaw(wanted), "changes": []}
    if durable.create_exclusively(run.config, _to_yaml(content)):
        return tuple(accept)
    frozen = read_config(run) or content
    differences = list(compare(frozen, wanted))
    refused = [one for one in differences if one.change is Change.identity and one.name not in accept]
    if refused:
        raise MismatchError(_refusal(run, refused))
    changes = frozen["changes"] + [_record(one) for one in differences if one.change is not Change.free]
    new = {**content, "changes": changes}
    if new != frozen:
        durable.write_bytes(run.config, _to_yaml(new))
    return tuple(sorted({*accept, *(one["key"] for one in changes if one["change"] == Change.identity.value)}))


def compare(frozen: Mapping[str, Any], wanted: RunConfig) -> Iterator[Difference]:
    """Every key of the table whose value differs."""
    old, new = _settings(frozen), _settings(thaw(wanted))
    for name, change in change_table(freeze(TrainingConfig, frozen["training"])).items():
        if old.get(name) != new[name]:
            yield Difference(name, old.get(name), new[name], change)


def _settings(content: Mapping[str, Any]) -> dict[str, Any]:
    """Values by the names of `change_table`."""
    model = {f"model.{name}": value for name, value in content["model"].items()}
    training = {f"training.{name}": value for name, value in content["training"].items()}
    return {"seed": content["seed"], "data": content["data_digest"], **model, **training}


def _check_accept(wanted: RunConfig, accept: Sequence[str]) -> None:
    valid = list(change_table(wanted.training))
    for name in accept:
        # numerics.*: versions and instruction sets, which only the training process can compare
        if name not in valid and not name.startswith("numerics."):
            raise UsageError(f"accept names keys of the run's configuration, got {name!r}{did_you_mean(name, valid)}")


def _refusal(run: RunPaths, refused: Sequence[Difference]) -> str:
    first, names = refused[0], ",".join(one.name for one in refused)
    others = f" (and {len(refused) - 1} other keys)" if len(refused) > 1 else ""
    return (
        f"the run {run.name!r} began with {first.name}={first.old} and would be another run with "
        f"{first.name}={first.new}{others}; leave the key out, name a new run=, or go on all the same with "
        f"'accept=[{names}]', which the report will mark"
    )


def _record(difference: Difference) -> dict[str, Any]:
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    change = difference.change.value
    return {"key": difference.name, "old": difference.old, "new": difference.new, "change": change, "time": now}


def _to_yaml(content: Mapping[str, Any]) -> bytes:
    data = content["data"]
    if not data.isprintable():  # bytes that are no UTF-8 are lone surrogates to Python, and an error to YAML
        data = os.fsencode(data)
    return yaml.safe_dump({**content, "data": data}, sort_keys=False, allow_unicode=True, width=120).encode()
