"""A login node only submits: what computes and what opens shards need not be installed there."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.small import SMALL

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Run = Callable[..., "subprocess.CompletedProcess[str]"]
ROOT = Path(__file__).parents[2]

# What imports one of these fails as if it were not installed.
WITHOUT = (
    "import shlex, sys\n"
    "for name in ('torch', 'h5py'): sys.modules[name] = None\n"
    "from jobs.cli import main\n"
    "for line in sys.stdin: print('exit', main(shlex.split(line)), flush=True)\n"
)
SBATCH = "#!/bin/sh\ncat > /dev/null\necho 7\n"
SITE = "cluster=site.yaml"
SITE_PROFILE = "base: slurm\ntime_limit_minutes: 30\ncontainer: {image: image.sif, check: false}\n"


@pytest.fixture
def there(tmp_path: Path) -> Path:
    """A folder with music and a profile, on a machine that has an sbatch."""
    for name, text in {"sbatch": SBATCH, "squeue": "#!/bin/sh\n", "scontrol": "#!/bin/sh\n"}.items():
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(text, "utf-8")
        program.chmod(0o755)
    (tmp_path / "image.sif").touch()
    (tmp_path / "music").mkdir()
    (tmp_path / "music" / "recording.mp3").touch()
    (tmp_path / "site.yaml").write_text(SITE_PROFILE, "utf-8")
    return tmp_path


def said_without(folder: Path, *commands: str) -> str:
    """What the commands print, one after the other, where torch and h5py are not installed."""
    variables = {**os.environ, "PATH": f"{folder / 'bin'}:/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT],
        input="\n".join(commands),
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_every_verb_submits_without_torch_and_h5py(there: Path, data: Path, wavenet: Run) -> None:
    """Each of them hands its job to sbatch, and what only looks works as ever."""
    trained = wavenet(
        "train", "run=trained", f"data={data}", *SMALL, "training.num_steps=1", "cluster=local", timeout=280
    )
    assert trained.returncode == 0, trained.stderr
    shards, small = f"data={data}", " ".join(SMALL)
    submitting = (
        "prepare source=music data=new",
        f"train run=one {shards} {small}",
        "generate run=trained",
        f"run source=music run=all data=other {small}",
    )
    each = [f"{words} {SITE}{end}" for words in submitting for end in (" dry_run=true", "")]
    said = said_without(there, *each, "status run=one", "cancel run=one", f"doctor {SITE} wait_seconds=0")
    assert [line for line in said.splitlines() if line.startswith("exit")][:-1] == ["exit 0"] * 10, said
    assert "torch is not here; jobs have that of their image" in said
    assert "foresaw" not in said
    for name in ("prepare-new", "train-one", "generate-trained", "report-all"):
        assert f"submitted wavenet-{name} as job 7" in said


def test_the_login_nodes_packages_are_those_of_the_project_without_torch_and_h5py() -> None:
    """containers/login.txt is what `pip install --no-deps` of the project leaves out, less what computes."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = {each for each in project["dependencies"] if not each.startswith(("torch", "h5py"))}
    lines = (ROOT / "containers" / "login.txt").read_text("utf-8").splitlines()
    assert {line for line in lines if line and not line.startswith("#")} == wanted
