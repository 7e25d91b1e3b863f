"""What sbatch says when it takes no job: whether to wait, to look whether it took it after all, or to give up."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass


class Refusal(enum.Enum):
    """What to do about it."""

    limit = "limit"
    """Too many jobs of this user, account or cluster: wait until some have ended."""
    away = "away"
    """The controller does not answer, or has no room: wait until it does."""
    unsure = "unsure"
    """The answer was lost on its way, and the job may be in the queue: look before asking again."""
    final = "final"
    """The same request would be refused again."""


@dataclass(frozen=True)
class Answer:
    """A refusal, why in Slurm's words, and for final ones the keys of the profile to look at."""

    refusal: Refusal
    reason: str
    keys: str = ""


_UNSURE = r"Socket timed out|Zero Bytes were transmitted|Unexpected message received|Communication connection failure"
_AWAY = (
    r"Unable to contact slurm controller|Resource temporarily unavailable|temporarily unable|Connection refused|"
    r"controller not available|standby mode|try again|Unable to contact slurmdbd"
)
_LIMIT = r"MaxSubmit|GrpSubmit"
_POLICY = "violates accounting/QOS policy"
_KEYS = (
    ("time limit|MaxWall|time specification|--time", "cluster.time_limit_minutes"),
    ("account", "cluster.account, or cluster.partition if the account may not use it"),
    ("partition", "cluster.partition"),
    ("qos", "cluster.qos"),
    ("memory|MaxMem", "cluster.memory_gb"),
    ("feature", "cluster.constraint"),
    ("gres|generic resource|gpu", "cluster.gres or cluster.gpus_per_node"),
    ("reservation", "cluster.reservation"),
    ("license", "licenses= in cluster.sbatch"),
    ("node name", "cluster.exclude"),
    ("array", "cluster.array_size"),
    ("node count", "cluster.nodes"),
    (
        "node configuration|processors|cpu|MaxTRES|MaxNode",
        "cluster.cpus_per_task, nodes, memory_gb, gres and constraint",
    ),
    ("option|specification", "cluster.sbatch"),
)


def read_refusal(words: str) -> Answer:
    """Read what sbatch has printed to its standard error."""
    reason = _reason(words)
    if re.search(_UNSURE, words):
        return Answer(Refusal.unsure, reason)
    if re.search(_AWAY, words):
        return Answer(Refusal.away, reason)
    # The sentence is the same for too many jobs and for one that is too large; if it is alone, waiting may help.
    if re.search(_LIMIT, reason) or _POLICY in reason:
        return Answer(Refusal.limit, reason)
    return Answer(Refusal.final, reason, _keys(reason))


def _reason(words: str) -> str:
    """What the lines say, without the program's name and without the general sentence after a particular word."""
    lines = [re.sub(r"^sbatch: (error: )?(Batch job submission failed: )?", "", line) for line in words.splitlines()]
    kept = list(dict.fromkeys(line.strip() for line in lines if line.strip() and not line.startswith("Try ")))
    return "; ".join([line for line in kept if _POLICY not in line] or kept) or "no reason was given"


def _keys(reason: str) -> str:
    for pattern, keys in _KEYS:
        if re.search(pattern, reason, re.IGNORECASE):
            return keys
    return "the profile"
