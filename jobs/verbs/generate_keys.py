"""Keys of ``wavenet generate``, and what in them does not go together."""

from __future__ import annotations

from dataclasses import dataclass

from omegaconf import MISSING

from jobs.cluster import ClusterConfig
from jobs.folders import DEFAULT_ROOT
from wavenet.errors import UsageError
from wavenet.generation.config import GenerationConfig, Variant
from wavenet.settings import key


@dataclass(frozen=True, kw_only=True)
class GenerateKeys:
    """Keys of ``wavenet generate``."""

    run: str = key(MISSING, "the run's name below root, or its path; for example run=first")
    root: str = key(DEFAULT_ROOT, "folder of the runs that are given by name")
    data: str = key("data", "folder of shards, for the excerpts of continuations; by default the run's")
    seed: int = key(0, "decides every draw; by default the run's")
    generate: GenerationConfig
    cluster: ClusterConfig
    dry_run: bool = key(False, "print what would be started and start nothing")

    def __post_init__(self) -> None:
        require_gpus(self.generate, self.cluster)


def require_gpus(config: GenerationConfig, cluster: ClusterConfig) -> None:
    """Raise `UsageError` where no task would find a GPU: told by the tasks, it would cost their time in the queue."""
    if config.variant is Variant.cuda and not cluster.asks_for_gpus:
        raise UsageError(
            "generate.variant=cuda draws on a GPU, and the cluster's keys ask for none: "
            "set cluster.gpus_per_node=1 (or cluster.gres=gpu:1)"
        )
