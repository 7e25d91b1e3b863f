"""A checkpoint on disk: a folder of safetensors files and ``checkpoint.json``, which holds the digest of each.

::

    step-00000020/
      checkpoint.json          step, model, classes, identity, and size and SHA-256 of every other file
      weights.safetensors      the raw weights
      ema.safetensors          their running average, where one is kept
      optimizer.safetensors    what the optimiser remembers; absent from imported checkpoints

Loading runs no code from the files. The digest of a checkpoint is the SHA-256 of its checkpoint.json, and so of all.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as parse_safetensors
from safetensors.numpy import save as format_safetensors

from wavenet import durable
from wavenet.errors import DamagedError, InputError

FORMAT = 1
FACTS = "checkpoint.json"
Arrays = dict[str, NDArray[Any]]


def write_checkpoint(path: Path, facts: dict[str, Any], arrays: dict[str, Arrays]) -> str:
    """Write a new checkpoint folder and make every byte of it durable before returning.

    Args:
        path: the folder; it must not exist.
        facts: what checkpoint.json says besides format and files; JSON values.
        arrays: named groups of arrays, each becoming ``<group>.safetensors``.

    Returns:
        The checkpoint's digest.

    Raises:
        StorageError: the folder could not be written; what was begun is there.
    """
    contents = {f"{group}.safetensors": format_safetensors(_contiguous(members)) for group, members in arrays.items()}
    files = {name: {"bytes": len(data), "sha256": _sha256(data)} for name, data in contents.items()}
    summary = durable.to_json({**facts, "format": FORMAT, "files": files}).encode()
    durable.make_folder(path)
    with durable.storage_errors(path):
        for name, data in [*contents.items(), (FACTS, summary)]:
            (path / name).write_bytes(data)
            durable.sync_file(path / name)
        durable.sync_folder(path)
    return _sha256(summary)


def _contiguous(members: Arrays) -> Arrays:
    # safetensors writes the underlying buffer: a transposed view would be saved in the wrong order.
    return {name: np.ascontiguousarray(value) for name, value in members.items()}


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def size_bytes(path: Path) -> int:
    """Bytes of all files of the checkpoint folder ``path``."""
    with durable.storage_errors(path, "read"):
        return sum(file.stat().st_size for file in path.iterdir())


def digest_of(path: Path) -> str:
    """SHA-256 of checkpoint.json: it pins every byte of the checkpoint.

    Raises:
        InputError: ``path`` is not a checkpoint folder.
    """
    return _sha256(_read_summary(path))


def read_facts(path: Path) -> dict[str, Any]:
    """What checkpoint.json says.

    Raises:
        InputError: ``path`` is not a checkpoint folder, or one of another format.
        DamagedError: checkpoint.json is not readable JSON.
    """
    try:
        facts = json.loads(_read_summary(path))
    except ValueError as error:
        raise DamagedError(f"the checkpoint {str(path)!r} is damaged: {FACTS} is not valid JSON") from error
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        found = facts.get("format") if isinstance(facts, dict) else facts
        raise InputError(f"the checkpoint {str(path)!r} has format {found!r}; this version reads format {FORMAT}")
    return facts


def _read_summary(path: Path) -> bytes:
    try:
        return (path / FACTS).read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        message = f"{str(path)!r} is not a checkpoint: it has no {FACTS}; name a folder like checkpoints/step-00000020"
        raise InputError(message) from error
    except OSError as error:
        raise DamagedError(f"the checkpoint {str(path)!r} cannot be read: {error.strerror}") from error


def read_arrays(path: Path, group: str) -> Arrays:
    """The arrays of ``group`` (``weights``, ``ema`` or ``optimizer``), checked against their digest.

    Raises:
        InputError: not a checkpoint, or one without that group.
        DamagedError: the file is missing, cut short or altered.
    """
    name = f"{group}.safetensors"
    files = read_facts(path)["files"]
    if name not in files:
        raise InputError(f"the checkpoint {str(path)!r} has no {name}; it has {', '.join(sorted(files))}")
    return _parse(path / name, _read_sound(path / name, files[name]))


def _read_sound(path: Path, expected: dict[str, Any]) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DamagedError(f"{str(path)!r} is damaged: it cannot be read ({error.strerror})") from error
    if len(data) != expected["bytes"]:
        raise DamagedError(f"{str(path)!r} is damaged: {expected['bytes']} bytes were committed, it has {len(data)}")
    if _sha256(data) != expected["sha256"]:
        raise DamagedError(f"{str(path)!r} is damaged: its content differs from what was committed")
    return data


def _parse(path: Path, data: bytes) -> Arrays:
    try:
        arrays: Arrays = parse_safetensors(data)
    except SafetensorError as error:
        raise DamagedError(f"{str(path)!r} is damaged: {error}") from error
    return arrays


def verify(path: Path, digest: str | None = None) -> None:
    """Read the whole checkpoint and compare it with its digests.

    Args:
        digest: what the ledger says the checkpoint's digest is; None trusts checkpoint.json.

    Raises:
        InputError, DamagedError: as in `read_facts` and `read_arrays`, or another digest than the ledger's.
    """
    if digest is not None and digest_of(path) != digest:
        raise DamagedError(f"the checkpoint {str(path)!r} is damaged: {FACTS} differs from what was committed")
    for name, expected in read_facts(path)["files"].items():
        _read_sound(path / name, expected)
