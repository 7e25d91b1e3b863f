"""``python -m tests.cluster [PAIRS]``: an array of so many tasks on a Slurm of its own, a tenth of them killed.

One pair of genre and checkpoint per task, arrays as large as Slurm's default allows, kills in the middle of clips; then
every clip is compared with those of an undisturbed serial run. Prints a table; ends with 1 where anything differs.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from slurm.devcluster import cluster as clusters
from wavenet.generation.requests import ClipRequest
from wavenet.run_paths import RunPaths

from .pairs import Aim, Task, kept_samples, made, requests, undisturbed, words
from .program import readable
from .shell import Shell
from .user import SLURM, User

_SECONDS = 1.0
_NUM_NODES = 4
_ASK_SECONDS = 2.0
_MEMORY = Path("/dev/shm")


def main() -> None:
    """Bring the cluster up, run the array, compare, take the cluster down."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__.partition("\n")[0])
    parser.add_argument("pairs", type=int, nargs="?", default=2000, help="how many tasks; default: 2000")
    parser.add_argument("--parallel", type=int, default=6, help="how many at once; default: 6")
    parser.add_argument("--name", default="array", help="of the cluster; default: array")
    options = parser.parse_args()
    num_genres = max(number for number in range(1, 51) if options.pairs % number == 0)
    with _user(options.name) as user:
        sys.exit(_story(user, options.pairs // num_genres, num_genres, options.parallel))


@contextmanager
def _user(name: str) -> Iterator[User]:
    with readable() as program:
        cluster = clusters.up(name, num_nodes=_NUM_NODES, is_isolated=True, say=_say)
        try:
            user = User(Shell(cluster), program)
            yield user
            user("scancel", f"--user={cluster.user}")
        finally:
            clusters.down(cluster)


def _say(sentence: str) -> None:
    sys.stdout.write(f"{sentence}\n")
    sys.stdout.flush()


def _story(user: User, num_checkpoints: int, num_genres: int, parallel: int) -> int:
    """What happened, as a table; 1 where something is not as it should be."""
    num_pairs, began = num_checkpoints * num_genres, time.monotonic()
    size = ("runs/many", str(num_checkpoints), str(num_genres))
    assert user(user.program.python, "-m", "tests.cluster.pairs", *size).returncode == 0
    run = RunPaths(user.shell.home / "runs" / "many")
    place = [*SLURM, "cluster.partition=nograce", f"cluster.max_parallel={parallel}"]
    started = time.monotonic()
    said = user.wavenet("generate", "run=many", *place, *words(num_checkpoints, _SECONDS))
    submitted = time.monotonic() - started
    _say(said)
    clips = requests(run, num_checkpoints, _SECONDS)
    ids = re.findall(r"wavenet-generate-many as job (\d+)", said)
    sizes = [int(size) for size in re.findall(r"with (\d+) task", said)]
    aim = Aim(user, ids, sizes, run, clips)
    killed = _kill_a_tenth(aim, _asker(user, run, ids, num_pairs))
    ran = time.monotonic() - started
    differing = _differing(run, clips)
    kept = sum(kept_samples(run, clip) > 0 for clip in (aim.clip(task) for task in killed))
    files = [path.name for path in run.generated.iterdir()]
    logs = sum(1 for folder in run.jobs.glob("generate-*") for _ in folder.glob("*_restart-*.log"))
    done = len(set(re.findall(r" job (\d+_\d+) restart \d+ on \w+: done\n", (run.jobs / "decisions.log").read_text())))
    rows = {
        "pairs of genre and checkpoint, one per task": num_pairs,
        "arrays": " + ".join(map(str, sizes)),
        "tasks at once": parallel,
        "tasks killed in the middle of their clip": len(killed),
        "of these went on from what was kept": kept,
        "starts of tasks": logs,
        "tasks done": done,
        "files": len(files),
        "clips missing, or not bitwise those of a serial run": differing,
        "seconds to submit": round(submitted),
        "minutes until the last task was done": round(ran / 60, 1),
        "minutes in all": round((time.monotonic() - began) / 60, 1),
        "load of the machine, and its cores": f"{os.getloadavg()[2]:.1f}, {os.cpu_count()}",
    }
    for what, value in rows.items():
        _say(f"| {what} | {value} |")
    return int(differing > 0 or done != num_pairs or len(files) != 3 * num_pairs or kept != len(killed))


def _asker(user: User, run: RunPaths, ids: list[str], num_pairs: int) -> Callable[[], bool]:
    """Whether the arrays are over, asked now and then; tells how far they are."""
    asked, told, is_over = 0.0, -1, False

    def ask() -> bool:
        nonlocal asked, told, is_over
        if time.monotonic() - asked > _ASK_SECONDS:
            asked = time.monotonic()
            is_over = not user.shell("squeue", "--noheader", f"--jobs={','.join(ids)}", "--format=%T")
            done = len(list(run.generated.glob("*.json")))
            if done // 50 != told:
                told = done // 50
                _say(f"{time.strftime('%H:%M:%S', time.gmtime())}: {done} of {num_pairs} clips")
        return is_over

    return ask


def _kill_a_tenth(aim: Aim, is_over: Callable[[], bool]) -> list[Task]:
    """Of the tasks that have been seen so far, always."""
    seen: set[str] = set()
    killed: dict[str, Task] = {}

    def is_spared(task: Task) -> bool:
        seen.add(task.job)
        return task.job in killed or 10 * len(killed) >= len(seen)

    for task in aim.stopped(is_spared, is_over):
        task.send(signal.SIGKILL)
        killed[task.job] = task
    return list(killed.values())


def _differing(run: RunPaths, clips: list[ClipRequest]) -> int:
    # In memory: thousands of clips that are made durable take longer than to draw them.
    folder = Path(tempfile.mkdtemp(dir=_MEMORY if _MEMORY.is_dir() else None))
    try:
        other = undisturbed(run, folder / "serial", clips)
        return sum(not _is_same(run, other, clip) for clip in clips)
    finally:
        shutil.rmtree(folder)


def _is_same(run: RunPaths, other: RunPaths, clip: ClipRequest) -> bool:
    try:
        return made(run, clip) == made(other, clip)
    except OSError:
        return False


main()
