"""What the machine brings: Python, torch and the processor's instructions, ffmpeg, GPUs, container runtimes."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass

from jobs.checks.finding import Finding, Group
from jobs.cluster import ClusterConfig
from jobs.container import ContainerConfig
from jobs.environment import num_cores

_SECONDS = 30
_RUNTIMES = ("apptainer", "singularity", "podman", "docker", "enroot", "ch-run")
OLDEST_PYTHON, FIRST_PYTHON_NOT = (3, 10), (3, 14)


@dataclass(frozen=True)
class Numerics:
    """What decides the last bits of a training step; empty where torch cannot be imported."""

    torch: str = ""
    instructions: str = ""


@dataclass(frozen=True)
class Wants:
    """What a job is to find: so many GPUs and cores, and what starts its container where it has one."""

    gpus: int = 0
    cores: int = 1
    container: ContainerConfig = ContainerConfig()

    @classmethod
    def of(cls, cluster: ClusterConfig) -> Wants:
        """Of a job of this profile."""
        return cls(cluster.gpus_per_node, max(1, cluster.cpus_per_task), cluster.container)

    @classmethod
    def to_submit(cls, cluster: ClusterConfig) -> Wants:
        """Of the machine that jobs of this profile are submitted from."""
        return cls(container=cluster.container)


def examine(group: Group, wants: Wants) -> tuple[list[Finding], Numerics]:
    """Look at the machine that this runs on."""
    torch, numerics = _torch(group, wants)
    return [
        _python(group),
        torch,
        _cores(group, wants.cores),
        _gpus(group, wants.gpus),
        _ffmpeg(group),
        _runtimes(group, wants),
    ], numerics


def _python(group: Group) -> Finding:
    version = platform.python_version()
    if OLDEST_PYTHON <= sys.version_info[:2] < FIRST_PYTHON_NOT:
        return group.ok("python", f"Python {version}")
    return group.problem(
        "python", f"Python {version} is none of 3.10 to 3.13", "make the environment with one of these"
    )


def _torch(group: Group, wants: Wants) -> tuple[Finding, Numerics]:
    try:
        import torch
    except (ImportError, OSError) as error:
        if wants.container.image:
            return group.ok("torch", "torch is not here; jobs have that of their image"), Numerics()
        reason = " ".join(str(error).split())
        remedy = "make the environment again on this kind of machine: `make environment`"
        return group.problem("torch", f"torch cannot be imported: {reason}", remedy), Numerics()
    numerics = Numerics(torch.__version__, torch.backends.cpu.get_cpu_capability())
    return group.ok("torch", f"torch {numerics.torch}, instructions {numerics.instructions}"), numerics


def _cores(group: Group, cores: int) -> Finding:
    there = num_cores()
    if there < cores:
        found = f"{there} cores may be used, and a job's process is to have {cores}"
        return group.warning("cores", found, "lower cluster.cpus_per_task, or it will be slow")
    return group.ok("cores", f"{there} core{'s' * (there != 1)} may be used")


def _gpus(group: Group, gpus: int) -> Finding:
    names = _output("nvidia-smi", "--query-gpu=name", "--format=csv,noheader").splitlines()
    said = f"{len(names)} x {names[0]}" if names else "none"
    if len(names) < gpus:
        found = f"GPUs: {said}, and {gpus} are asked for"
        return group.problem(
            "gpu", found, "set cluster.gpus_per_node=0, or ask for nodes that have them (cluster.gres)"
        )
    return group.ok("gpu", f"GPUs: {said}" + ("" if gpus else "; none is asked for"))


def _ffmpeg(group: Group) -> Finding:
    remedy = "install ffmpeg, load its module in cluster.setup, or reinstall the package imageio-ffmpeg"
    program = shutil.which("ffmpeg") or _packaged_ffmpeg()
    if program is None:
        return group.problem("ffmpeg", "there is no ffmpeg: no MP3 can be written, and no M4A read", remedy)
    lines = _output(program, "-version").splitlines()
    if not lines:
        return group.problem("ffmpeg", f"{program} does not run: no MP3 can be written, and no M4A read", remedy)
    return group.ok("ffmpeg", " ".join(lines[0].split()[:3]))


def _packaged_ffmpeg() -> str | None:
    try:
        import imageio_ffmpeg

        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError):
        return None


def _runtimes(group: Group, wants: Wants) -> Finding:
    found = [name for name in _RUNTIMES if shutil.which(name)]
    told = f"container runtimes: {', '.join(found) or 'none'}"
    container = wants.container
    if not container.image:
        return group.ok("containers", told if found else f"{told}, and none is needed")
    if fault := container.fault:
        told = f"jobs are to run in the image {container.image}, which {fault}"
        remedy = "correct cluster.container.image, or put it where everybody may read it, on a shared file system"
        return group.problem("containers", told, remedy)
    if shutil.which(container.runtime.program) is None:
        remedy = (
            "load its module in cluster.setup, or set cluster.container.runtime or an empty cluster.container.image"
        )
        told = f"jobs are to run in an image by {container.runtime.value}, and {container.runtime.program} is not here"
        return group.problem("containers", told, remedy)
    return group.ok("containers", f"{told}; the image {container.image} is there")


def _output(*command: str) -> str:
    """What a program prints; nothing where it is not there or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return "" if done.returncode else done.stdout
