"""The verbs one after the other, as a user types them."""

from __future__ import annotations

import json
import platform
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]
ROOT = Path(__file__).parents[2]
LACKING = "avx2" if platform.machine() == "aarch64" else "neon"
WORDS = [
    "run=first",
    "cluster=local",
    "clips.seconds=3",
    "clips.min_recording_seconds=3",
    "model.layers_per_stack=3",
    "training.num_steps=4",
    "training.checkpoint_steps=[2]",
    "training.spread_checkpoints=1",
    "training.window_samples=100",
    "training.validation_windows=1",
    "generate.seconds=0.05",
    "generate.excerpt_seconds=0.05",
    "generate.evenly=2",
]


@pytest.mark.timeout(600)
def test_all_stages_run_and_then_are_done(music: Path, tmp_path: Path, wavenet: Run) -> None:
    """`run` goes from music to report; again, it finds every stage done; export and status read what is there."""
    done = wavenet("run", f"source={music}", *WORDS, timeout=400)
    assert done.returncode == 0, done.stdout + done.stderr
    for line in ("files not taken (", "shards: data", "finished at step 4;", "audio: runs/first/generated", "report: "):
        assert line in done.stdout
    assert (tmp_path / "runs/first/report/index.html").is_file()
    assert len(list((tmp_path / "runs/first/generated").glob("*.mp3"))) == 5 * 2 * 2

    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs/first/generated").iterdir()}
    again = wavenet("run", f"source={music}", *WORDS, timeout=400)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "in shards already" in again.stdout
    assert "the run 'first' is finished: step 4 is in runs/first/checkpoints" in again.stdout
    assert "20 clips of 2 checkpoints, 20 of them there already" in again.stdout
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "runs/first/generated").iterdir()} == files

    [state] = json.loads(wavenet("status", "--json").stdout)
    assert (state["stage"], state["step"], state["num_generated"], state["restarts"]) == ("reported", 4, 20, [])

    refused = wavenet("train", "run=first", "seed=9", "cluster=local")
    assert (refused.returncode, refused.stderr.count("\n")) == (4, 1)
    assert "began with seed=0 and would be another run with seed=9" in refused.stderr

    exported = wavenet("export", "run=first", "step=2", "target=model")
    assert exported.stdout.startswith("exported step 2: ")
    assert wavenet("export", "run=first", "step=3", "target=model").returncode == 2


@pytest.mark.timeout(300)
def test_the_reference_programs_checkpoint_becomes_a_run(tmp_path: Path, wavenet: Run) -> None:
    """And generates, without data and without ever having been trained here."""
    source = ROOT / "tests/data/tf-checkpoint/model.ckpt-50"
    done = wavenet("import", f"source={source}", "run=imported")
    assert (done.returncode, done.stdout) == (0, "imported step 50: runs/imported/checkpoints/step-00000050\n")
    twice = wavenet("import", f"source={source}", "run=imported")
    assert (twice.returncode, twice.stderr.count("\n")) == (3, 1)
    words = ("generate", "run=imported", "cluster=local", "generate.seconds=0.01", "generate.classes=[1]")
    refused = wavenet(*words, f"generate.variant={LACKING}")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert f"generate.variant={LACKING} cannot run on this machine" in refused.stderr
    assert not list((tmp_path / "runs/imported/jobs").glob("generate*"))
    made = wavenet(*words)
    assert made.returncode == 0, made.stdout + made.stderr
    assert (tmp_path / "runs/imported/generated/gen_genre-1_num-50.mp3").is_file()
    assert "imported: imported" in wavenet("status").stdout


def test_a_full_disk_is_told_and_loses_nothing(music: Path, small_disk: Path, wavenet: Run) -> None:
    """One sentence that names it, and the same command with room goes on."""
    done = wavenet("prepare", f"source={music}", f"data={small_disk / 'data'}", "cluster=local", *WORDS[2:4])
    assert done.returncode in (6, 10)
    assert done.stderr.count("\n") == 1
    assert "the disk is full" in done.stderr
    assert not (small_disk / "data" / "index.json").exists()


def test_a_variant_that_the_machine_lacks_is_missed_before_the_training(
    music: Path, tmp_path: Path, wavenet: Run
) -> None:
    """Not by generation, when the rest is done."""
    done = wavenet("run", "run=x", f"source={music}", "cluster=local", f"generate.variant={LACKING}")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert f"generate.variant={LACKING} cannot run on this machine" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_of_every_stage_submits_nothing(music: Path, tmp_path: Path, wavenet: Run) -> None:
    """Also before there is any data or run."""
    done = wavenet("run", "run=x", f"source={music}", "dry_run=true", "cluster=slurm", "cluster.max_parallel=16")
    assert done.returncode == 0, done.stderr
    assert "wavenet-prepare-data: 16 array tasks, at most 16 at once on cluster=slurm" in done.stdout
    assert "wavenet-train-x: 1 job on cluster=slurm" in done.stdout
    assert "wavenet-generate-x: as many as the plan says array tasks" in done.stdout
    assert "    time = 240\n" in done.stdout
    assert list(tmp_path.iterdir()) == []
