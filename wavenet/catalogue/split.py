"""Which recordings are held out for validation: by a hash of their content, so that no list has to be kept."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from wavenet.errors import UsageError
from wavenet.settings import key


@dataclass(frozen=True)
class SplitConfig:
    """How much is held out.

    Raises:
        UsageError: a share outside its range.
    """

    validation_share: float = key(0.1, "share of recordings held out for validation, at least one a class; 0: none")

    def __post_init__(self) -> None:
        if not 0 <= self.validation_share < 1:
            raise UsageError(f"split.validation_share must be at least 0 and less than 1, got {self.validation_share}")


def held_out(class_ids: Mapping[str, int], config: SplitConfig) -> frozenset[str]:
    """Return the digests to validate on, of the recordings whose classes ``class_ids`` gives by digest.

    A recording's digest is its lot, a number in [0, 1), and those below ``validation_share`` are held out: adding
    recordings moves none. But every class of two or more recordings gets at least one on each side: where the lots
    leave a side empty, the class's lowest lot goes to validation, or its highest to training.
    """
    if config.validation_share == 0:
        return frozenset()
    by_class: dict[int, list[str]] = defaultdict(list)
    for digest in sorted(class_ids, key=_lot):
        by_class[class_ids[digest]].append(digest)
    return frozenset(digest for members in by_class.values() for digest in _held_out_of(members, config))


def _held_out_of(members: list[str], config: SplitConfig) -> list[str]:
    """The held-out ones of one class's ``members``, which are in the order of their lots."""
    number = sum(_lot(digest) < config.validation_share for digest in members)
    if len(members) >= 2:
        number = min(max(number, 1), len(members) - 1)
    return members[:number]


def _lot(digest: str) -> float:
    return int(digest[:13], 16) / 16**13
