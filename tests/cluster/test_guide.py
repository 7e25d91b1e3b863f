"""The ten commands of slurm/README.md, from a laptop to the first requeued job, typed as they stand there."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from slurm.devcluster.users import as_user
from wavenet.run_paths import RunPaths
from wavenet.training.history import read_history

from .program import PROJECT
from .shell import PATIENCE, wait_until
from .user import User

# One worker brings the clusters up, once.
pytestmark = [pytest.mark.xdist_group("devcluster-c"), pytest.mark.timeout(900)]

GUIDE = (PROJECT / "slurm" / "README.md").read_text("utf-8")
COMMANDS = re.findall(r"^(laptop|cluster)\$ (.+)$", GUIDE, re.MULTILINE)
# The user's music of seconds, played over and over until it has the two minutes that are asked for without a key.
MUSIC = """
import subprocess
from pathlib import Path
from imageio_ffmpeg import get_ffmpeg_exe
for short in sorted(path for path in Path("music").rglob("*") if path.is_file()):
    long = Path("laptop/Music", short.name)
    long.parent.mkdir(parents=True, exist_ok=True)
    play = [get_ffmpeg_exe(), "-v", "quiet", "-stream_loop", "-1", "-i", short, "-t", "125", "-c", "copy", long]
    if subprocess.run(play, check=False).returncode:  # a broken file, which the library has as well
        long.unlink(missing_ok=True)
"""
# What stands between the reader and the cluster: a network, and an editor that somebody types into.
HELPERS = {
    "ssh": 'shift\ncd ~ && exec "$@"\n',
    "nano": "sed -i 's/^partition:.*/partition: preemptible/' \"$1\"\n",
}
END = "end of what the command says:"


class Prompt:
    """One shell, in which every command finds what the one before has left."""

    def __init__(self, user: User, helpers: Path) -> None:
        variables = {**user.program.variables, "PATH": f"{helpers}:/usr/local/bin:/usr/bin:/bin"}
        self._shell = subprocess.Popen(
            ["bash"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **as_user(user.shell.cluster, **variables),
        )

    def __call__(self, command: str) -> str:
        """What the command prints; it has to succeed."""
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        self._shell.stdin.write(f"{command}\necho; echo '{END}' $?\n")
        self._shell.stdin.flush()
        lines = []
        for line in self._shell.stdout:
            if line.startswith(END):
                assert line.split()[-1] == "0", f"{command}: {''.join(lines)}"
                break
            lines.append(line)
        else:
            raise AssertionError(f"{command} ended the shell: {''.join(lines)}")
        return "".join(lines)

    def close(self) -> None:
        self._shell.communicate(timeout=PATIENCE)


@pytest.fixture(scope="module")
def prompt(user: User) -> Iterator[Prompt]:
    helpers = user.shell.home / "helpers"
    helpers.mkdir()
    for name, text in HELPERS.items():
        (helpers / name).write_text(f"#!/bin/bash\n{text}", "utf-8")
        (helpers / name).chmod(0o755)
    # The checkout that is cloned belongs to somebody else.
    assert user("git", "config", "--global", "safe.directory", "*").returncode == 0
    assert user(user.program.python, "-c", MUSIC).returncode == 0
    prompt = Prompt(user, helpers)
    yield prompt
    prompt.close()


@pytest.fixture(scope="module")
def said(prompt: Prompt, user: User) -> Iterator[dict[str, str]]:
    """What each of the commands has printed."""
    run = RunPaths(user.shell.home / "wavenet" / "runs" / "first")
    said: dict[str, str] = {}
    prompt("cd ~/laptop")
    for place, command in COMMANDS:
        if place == "cluster" and len(said) == 1:
            prompt("cd ~")
        if command.startswith("scontrol requeue"):  # the reader has seen in `status` that it trains
            wait_until(lambda: bool(read_history(run).steps), 2 * PATIENCE)
        if command.startswith("wavenet status"):
            wait_until(lambda: len(read_history(run).attempts) == 2, PATIENCE)
        said[command] = prompt(command.replace("git clone …", f"git clone --quiet {user.program.project}"))
        if command.endswith("cd wavenet"):
            _have_the_environment(user)
    yield said
    user.wavenet("cancel", f"run={run.root}")


def _have_the_environment(user: User) -> None:
    """As `make environment` makes it: the tests' own has just been made by that command, from nothing."""
    checkout = user.shell.home / "wavenet"
    folder = checkout / ".venv"
    assert user(user.program.python, "-m", "venv", "--without-pip", str(folder)).returncode == 0
    (own,) = folder.glob("lib/*/site-packages")
    (packages,) = user.program.folder.glob("lib/*/site-packages")
    listed = (packages / "all.pth").read_text("utf-8").splitlines()
    (own / "all.pth").write_text("\n".join([str(checkout), *listed[1:]]), "utf-8")
    script = folder / "bin" / "wavenet"
    script.write_text((user.program.folder / "bin" / "wavenet").read_text("utf-8"), "utf-8")
    user("sed", "-i", f"1s|.*|#!{folder}/bin/python|", str(script))
    script.chmod(0o755)
    for made in (own / "all.pth", script):
        shutil.chown(made, user.shell.cluster.user)
    assert user("touch", str(folder / ".made")).returncode == 0


def test_there_are_ten() -> None:
    """As the guide's title says."""
    assert len(COMMANDS) == 10


def test_they_lead_to_a_job_that_was_requeued(said: dict[str, str], user: User) -> None:
    """Every command succeeds, and the last one tells of the restart."""
    status = said[COMMANDS[-1][1]]
    assert "first: training" in status
    assert "restarts: 1 x requeue" in status


def test_the_doctor_finds_nothing_wrong(said: dict[str, str]) -> None:
    """With the profile that the reader has just filled in."""
    (doctor,) = (text for command, text in said.items() if command.startswith("wavenet doctor"))
    assert "all of it will work" in doctor
