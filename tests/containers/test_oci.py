"""The OCI image holds the whole program, whichever runtime starts it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from containers import cache, tried, unpack
from containers.root import obstacle
from jobs.container import Container, ContainerConfig
from jobs.container_check import make_mount_points
from jobs.runtimes import Runtime

# Building the image, if it is not there, takes minutes on a busy machine.
pytestmark = [pytest.mark.xdist_group("oci"), pytest.mark.timeout(1500)]

CHECK = "/opt/wavenet/check.py"
# What rootless podman of a machine inside another does without.
PODMAN = ("--ulimit=nofile=1024:4096", "--ulimit=nproc=1024:4096")


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built by buildah from the Containerfile, and unpacked."""
    lacking = [program for program in ("buildah", "podman", "ch-run") if shutil.which(program) is None]
    if reason := obstacle() or (f"{' and '.join(lacking)} not installed" if lacking else ""):
        pytest.skip(f"no OCI image can be made and run here: {reason}")
    folder = tmp_path_factory.mktemp("images") / "wavenet"
    unpack.unpack(tried.archive(cache.default_folder()), folder)
    return folder


@pytest.mark.parametrize("runtime", [Runtime.charliecloud, Runtime.podman])
def test_music_becomes_audio_in_it(runtime: Runtime, image: Path, tmp_path: Path) -> None:
    """Music is made, prepared and learnt from, and clips are generated, by the words that a job is started with."""
    options = PODMAN if runtime is Runtime.podman else ()
    config = ContainerConfig(image=str(image), runtime=runtime, options=options)
    container = Container(config, (tmp_path,), has_gpus=False, here=tmp_path)
    make_mount_points(container)
    settings = tmp_path / "containers.conf"
    settings.write_text('[engine]\nruntime = "runc"\n', "utf-8")
    variables = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "USER": "root", "CONTAINERS_CONF": str(settings)}
    command = [*container.command(), "/opt/wavenet/bin/python", CHECK]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "works in this image" in done.stdout
