"""A cluster profile: where jobs run and what they ask for, and its translation into submitit's parameters."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from jobs.container import ContainerConfig
from wavenet.errors import InputError, UsageError, did_you_mean
from wavenet.settings import key

_PROFILES = Path(__file__).parent.parent / "slurm" / "profiles"
_SBATCH_OPTION = re.compile(r"[a-z][a-z0-9-]*(=[^\n]+)?")
_BARE = True  # submitit's value of an option that has none
MOST_PARALLEL = 256
"""Array tasks alive at once on Slurm, where the profile says nothing."""
_EARLY_SECONDS = 30  # Slurm warns a job when warning + 30 s + now reach its end
_START_SECONDS = 60  # until the program can take the warning, on a busy file system
_A_YEAR_IN_MINUTES = 365 * 24 * 60  # submitit's own default ends a local job after 2 minutes


class Executor(enum.Enum):
    """What starts the processes."""

    local = "local"
    slurm = "slurm"


@dataclass(frozen=True)
class ClusterConfig:
    """One profile; ``slurm/profiles/`` documents each field where it is set."""

    executor: Executor = key(Executor.local, "local: processes of this machine; slurm: jobs of a cluster")
    max_parallel: int = key(0, "array tasks alive at once; 0: as many as this machine has cores (slurm: 256)")
    pairs_per_task: int = key(0, "pairs of genre and checkpoint that one array task makes; 0: all of a checkpoint")
    array_size: int = key(0, "tasks of one array, larger ones are split; 0: as many as the cluster takes")
    submit_minutes: float = key(30.0, "how long to wait where the scheduler takes no job now")
    array_attempts: int = key(3, "starts of one array task before it counts as failed")
    idle_restarts: int = key(3, "restarts in a row without a new checkpoint before a training run is given up")
    restart_pause_seconds: float = key(2.0, "from a fault of a training run to its next start; slurm: in the queue")
    exclude_most: int = key(2, "hosts stayed away from after two faults each without a new checkpoint; 0: none")
    stop_seconds: float = key(120.0, "how long a stopped process may take to save before it is killed")

    time_limit_minutes: int = key(0, "wall-clock limit of a job, needed on slurm; 0 on one machine: none")
    warning_seconds: int = key(90, "how long before the time limit the job is told")
    nodes: int = key(1, "nodes of a training job, which share its processes evenly")
    cpus_per_task: int = key(0, "cores of a process; 0: what its threads need")
    gpus_per_node: int = key(0, "GPUs of a node; 0: processes see none")
    memory_gb: float = key(0.0, "memory of a node; 0: the partition's default")
    partition: str = key("", "partition to queue in; empty: the site's default")
    account: str = key("", "account that is charged")
    qos: str = key("", "quality of service")
    constraint: str = key("", "features that nodes must have")
    exclude: str = key("", "nodes to stay away from")
    reservation: str = key("", "reservation to run in")
    gres: str = key("", "generic resources, such as gpu:a100:1; instead of gpus_per_node")
    mail_type: str = key("", "events that send mail, such as FAIL,END")
    mail_user: str = key("", "where mail goes")
    setup: tuple[str, ...] = key((), "shell lines before the job's program, such as module load")
    sbatch: tuple[str, ...] = key((), "further sbatch options, such as licenses=matlab:1 or exclusive")
    container: ContainerConfig = field(default_factory=ContainerConfig)

    def __post_init__(self) -> None:
        for name in ("max_parallel", "idle_restarts", "restart_pause_seconds", "stop_seconds", "time_limit_minutes"):
            self._require_at_least(name, 0)
        for name in ("warning_seconds", "cpus_per_task", "gpus_per_node", "memory_gb"):
            self._require_at_least(name, 0)
        for name in ("pairs_per_task", "array_size", "submit_minutes", "exclude_most"):
            self._require_at_least(name, 0)
        for name in ("array_attempts", "nodes"):
            self._require_at_least(name, 1)
        if self.executor is Executor.slurm:  # submitit would take 5 minutes
            self._require_at_least("time_limit_minutes", 1)
            self._require_time_to_start()
        elif self.nodes > 1:
            raise UsageError(f"cluster.nodes must be 1 with cluster.executor=local, got {self.nodes}")
        elif self.container.image:
            raise UsageError(
                "cluster.container.image is for jobs of a cluster, and this is cluster.executor=local: on one machine, "
                "start the whole command in the image, such as `apptainer exec wavenet.sif wavenet ...`"
            )
        for option in self.sbatch:
            if not _SBATCH_OPTION.fullmatch(option):
                raise UsageError(
                    "cluster.sbatch must hold sbatch's options as name=value, or name where there is no value, "
                    f"such as licenses=matlab:1 or exclusive; got {option!r}"
                )

    @property
    def asks_for_gpus(self) -> bool:
        """Whether its jobs see any."""
        return self.gpus_per_node > 0 or "gpu" in self.gres

    def _require_time_to_start(self) -> None:
        needed = self.warning_seconds + _EARLY_SECONDS + _START_SECONDS
        if 60 * self.time_limit_minutes <= needed:
            raise UsageError(
                f"cluster.time_limit_minutes must be more than {needed / 60:.1f}, got {self.time_limit_minutes}: the "
                f"warning comes up to {_EARLY_SECONDS} s before cluster.warning_seconds={self.warning_seconds}, and "
                f"before the program has started it would end the job; ask for more time, or for a later warning"
            )

    def _require_at_least(self, name: str, least: int) -> None:
        if getattr(self, name) < least:
            raise UsageError(f"cluster.{name} must be at least {least}, got {getattr(self, name)}")


def list_profiles() -> dict[str, Path]:
    """The profiles that come with the program, by name."""
    return {path.stem: path for path in sorted(_PROFILES.glob("*.yaml"))}


def read_profile(name_or_path: str) -> dict[str, Any]:
    """The fields that a profile sets, on top of those of its ``base``, a profile that comes with the program.

    Raises:
        UsageError: no profile of that name, or a field that no profile has.
        InputError: the file cannot be read as YAML.
    """
    known = list_profiles()
    is_path = "/" in name_or_path or name_or_path.endswith((".yaml", ".yml"))
    if not is_path and name_or_path not in known:
        raise UsageError(f"there is no cluster profile {name_or_path!r}{did_you_mean(name_or_path, known)}")
    path = Path(name_or_path).expanduser() if is_path else known[name_or_path]
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise InputError(f"cannot read the cluster profile {name_or_path!r}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"the cluster profile {name_or_path!r} must be YAML; it fails with: {reason}") from error
    if not isinstance(content, dict):
        raise InputError(f"the cluster profile {name_or_path!r} must hold fields such as partition: gpu")
    if (base := content.pop("base", None)) is not None:
        if base not in known:
            raise UsageError(
                f"base of the cluster profile {name_or_path!r} must be one that comes with the program"
                f"{did_you_mean(str(base), known)}"
            )
        content = read_profile(base) | content
    if isinstance(image := content.get("container"), str):
        content["container"] = {"image": image}
    valid = [one.name for one in fields(ClusterConfig)]
    for name in content:
        if name not in valid:
            hint = did_you_mean(str(name), valid)
            raise UsageError(f"the cluster profile {name_or_path!r} has no field {name!r}{hint}")
    return dict(content)


def local_parameters(cluster: ClusterConfig, num_tasks: int) -> dict[str, Any]:
    """Parameters of submitit's local executor for a job of ``num_tasks`` equal processes."""
    return {
        "tasks_per_node": num_tasks,
        "gpus_per_node": cluster.gpus_per_node,
        "timeout_min": cluster.time_limit_minutes or _A_YEAR_IN_MINUTES,
        "signal_delay_s": cluster.warning_seconds,
    }


def slurm_parameters(cluster: ClusterConfig, name: str, num_tasks: int, threads: int, nodes: int) -> dict[str, Any]:
    """Parameters of submitit's Slurm executor, in Slurm's own words; what the profile leaves open is left out."""
    if num_tasks % nodes:
        raise UsageError(
            f"training.processes must be a multiple of cluster.nodes = {nodes}, so that every node has as many; "
            f"got {num_tasks}"
        )
    options = {option.partition("=")[0]: option.partition("=")[2] or _BARE for option in cluster.sbatch}
    if cluster.reservation:
        options["reservation"] = cluster.reservation
    asked: dict[str, Any] = {
        "job_name": name,
        "nodes": nodes,
        "ntasks_per_node": num_tasks // nodes,
        "cpus_per_task": cluster.cpus_per_task or threads,
        "time": cluster.time_limit_minutes,
        "signal_delay_s": cluster.warning_seconds,
        "gpus_per_node": cluster.gpus_per_node,
        "mem": f"{round(1024 * cluster.memory_gb)}M" if cluster.memory_gb else "",
        "array_parallelism": cluster.max_parallel or MOST_PARALLEL,
        "setup": list(cluster.setup),
        # Sites with JobRequeue=0 refuse to requeue a job that did not ask for it, and submitit never asks.
        "additional_parameters": {"requeue": True, **options},
    }
    for each in ("partition", "account", "qos", "constraint", "exclude", "gres", "mail_type", "mail_user"):
        asked[each] = getattr(cluster, each)
    return {name: value for name, value in asked.items() if value}


def parameters(
    cluster: ClusterConfig, name: str, num_tasks: int = 1, threads: int = 1, nodes: int = 1
) -> dict[str, Any]:
    """What submitit is asked for: one flat table, the same for the submission and for a dry run.

    Raises:
        UsageError: ``num_tasks`` cannot be spread evenly over ``nodes``.
    """
    if cluster.executor is Executor.local:
        return local_parameters(cluster, num_tasks)
    return slurm_parameters(cluster, name, num_tasks, threads, nodes)
