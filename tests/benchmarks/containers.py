"""What a container adds to the start of an array task: the same program in the image and outside, in turns.

Both run as an ordinary user in the machine that the tests use, the one outside with the packages of this environment.
Root and image are made first, if they are not there.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from containers import cache, root, tried
from jobs.container import Container, ContainerConfig
from slurm.devcluster import packages
from tests.benchmarks.measurements import Measurement
from tests.cluster.container_user import IMAGE, PROGRAM, ContainerUser, settled

REPETITIONS = 9
IMPORTS = {
    "nothing": "pass",
    "prepare": "import submitit.core._submit, jobs.work.slurm_tasks, jobs.verbs.stages, wavenet.shards.write",
    "generate": (
        "import submitit.core._submit, jobs.work.slurm_tasks, jobs.verbs.stages\n"
        "import wavenet.generation.clips, wavenet.generation.restore, wavenet.generation.native.batch"
    ),
}
"""What a task of an array imports, by its stage."""


def starts() -> Iterator[Measurement]:
    """Seconds from the shell's word to the end of a program that imports and does nothing."""
    if reason := packages.obstacle() or root.obstacle():
        sys.stderr.write(f"left out: no machine can be made here to start containers in ({reason})\n")
        return
    kept = cache.default_folder()
    image, machine = tried.image(kept), root.root(kept)
    with tempfile.TemporaryDirectory() as folder, settled("bench", machine, {image: IMAGE}, Path(folder)) as user:
        for what, imports in IMPORTS.items():
            outside, inside = _medians(user, imports)
            yield Measurement(f"Python that imports {what}, outside", outside, "s")
            yield Measurement(f"Python that imports {what}, in the image", inside, "s")
            yield Measurement(f"added by the container, importing {what}", inside - outside, "s")


def _medians(user: ContainerUser, imports: str) -> tuple[float, float]:
    home = Path("/home", user.name)
    container = Container(ContainerConfig(image=str(IMAGE)), (home,), has_gpus=False, here=home)
    commands = (
        [f"{PROGRAM}/bin/python", "-c", imports],
        [*container.command(), container.config.python, "-c", imports],
    )
    taken: list[list[float]] = [[], []]
    for _ in range(REPETITIONS):
        for command, times in zip(commands, taken, strict=True):
            started = time.perf_counter()
            user.said(*command)
            times.append(time.perf_counter() - started)
    outside, inside = (statistics.median(times[1:]) for times in taken)  # the first one fills the caches
    return outside, inside


ALL: dict[str, Callable[[], Iterator[Measurement]]] = {"containers": starts}
