"""Claims about requests that are made again, changed, or interrupted: what is made, what is left, what is looked at."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from wavenet.generation.clips import make_clips
from wavenet.generation.config import GenerationConfig, Priming
from wavenet.generation.plan import is_done, make_plan
from wavenet.generation.requests import remove_leftovers

SHORT = GenerationConfig(seconds=0.02, excerpt_seconds=0.1, primings=(Priming.silence,))


def make(run, config, seed=7):
    """As the command does: only what is not done."""
    planned = make_plan(run, config, seed, None)
    for step in sorted({request.step for request in planned}):
        make_clips(run, [each for each in planned if each.step == step and not is_done(run, each)], None)
    return planned


@pytest.fixture
def keep(run, tmp_path):
    """``keep()``: from here on, what of the clips is replaced; a function that tells the names.

    The kept links hold every file: the number of one that is gone would be given to the next.
    """
    kept = tmp_path / "kept"

    def keep():
        kept.mkdir()
        for path in run.generated.iterdir():
            (kept / path.name).hardlink_to(path)
        return lambda: {path.name for path in kept.iterdir() if not path.samefile(run.generated / path.name)}

    return keep


def files_of(run, step):
    return {path.name for path in run.generated.iterdir() if f"num-{step}." in path.name}


@pytest.mark.parametrize(
    "change",
    [{"temperature": 0.9}, {"top_k": 3}, {"top_p": 0.5}, {"seconds": 0.03}],
    ids=lambda change: next(iter(change)),
)
def test_a_changed_setting_makes_only_what_it_is_asked_for(change, run, keep):
    """Of the other checkpoints everything stays; of this one every file is of the new request."""
    make(run, SHORT)
    replaced = keep()
    make(run, SHORT)
    assert not replaced()
    changed = make(run, replace(SHORT, checkpoints=(20,), **change))
    assert replaced() == files_of(run, 20)
    for request in changed:
        facts = json.loads(request.files(run).json.read_text())
        assert facts["request"] == request.digest
        assert all(facts["generated_seconds" if name == "seconds" else name] == value for name, value in change.items())


def test_a_checkpoint_of_other_contents_makes_its_clips_again(run, ledger, commit, keep):
    """A training that was made anew may come to the same step with other weights."""
    make(run, SHORT)
    replaced = keep()
    ledger.append("delete", step=20, reason="retention")
    commit(20, learning="more")
    planned = make_plan(run, SHORT, 7, None)
    assert {request.step for request in planned if not is_done(run, request)} == {20}
    make(run, SHORT)
    assert replaced() == files_of(run, 20)


def test_a_clip_has_no_mark_while_its_audio_is_replaced(run, monkeypatch):
    """Whoever looks at a wrong moment sees no clip, rather than new audio with old facts."""
    make(run, SHORT)
    seen = []

    def look(path, content):
        if path.suffix in (".wav", ".mp3"):
            seen.append(path.with_suffix(".json").exists())
            path.write_bytes(content)

    monkeypatch.setattr("wavenet.audio.files.write_bytes", look)
    make(run, replace(SHORT, temperature=0.9))
    assert seen == [False] * 6


def test_what_a_killed_start_has_left_of_its_own_clips_is_removed(run):
    """Of half written files when the task is started again, of a clip in progress when it is made."""
    mine, other = make_plan(run, SHORT, 7, None)[:2]
    run.generated.mkdir()
    half = {
        request: [
            run.generated / f".{request.files(run).wav.stem}.0123456789ab.tmp.{suffix}"
            for suffix in ("wav", "mp3", "json")
        ]
        for request in (mine, other)
    }
    partial = run.generated / f".{mine.files(run).partial.name}"
    for path in [*half[mine], *half[other], partial]:
        path.write_bytes(b"half")
    remove_leftovers(run, [mine])
    assert set(run.generated.iterdir()) == {*half[other], partial}
    make_clips(run, [mine], None)
    left = {path for path in run.generated.iterdir() if path.name.startswith(".")}
    assert left == set(half[other])


_TASK = """
import os, sys
from pathlib import Path
from jobs.work import tasks
from wavenet.generation.requests import ClipRequest
import json

root = Path(sys.argv[1])
request = ClipRequest.from_dict(json.loads(sys.argv[2]))
seen = set()

def watch(event, arguments):
    if event in ("open", "os.listdir", "os.scandir") and str(arguments[0]).startswith(str(root)):
        seen.add(f"{event} {os.path.relpath(str(arguments[0]), root)}")

sys.addaudithook(watch)
from wavenet.run_paths import RunPaths
tasks.generate(tasks.GenerateOrder(RunPaths(root), [request], root / "data", 1, 30.0), lambda *at: None)
print(json.dumps(sorted(seen)))
"""


def test_a_task_looks_at_nothing_but_its_own_share(run):
    """However many clips, checkpoints and ledger entries there are: no other's file is opened, no folder listed.

    File systems of clusters are slow with folders of thousands of files that thousands of tasks walk.
    """
    first, *others = make(run, replace(SHORT, clips_per_pair=3))
    first.files(run).json.unlink()
    words = [sys.executable, "-c", _TASK, str(run.root), json.dumps(first.to_dict())]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=120)
    seen = set(json.loads(done.stdout.splitlines()[-1])) - {"open generated"}  # to be made durable
    stem = first.files(run).wav.stem
    mine = ("open checkpoints/step-00000010/", f"open generated/{stem}.", f"open generated/.{stem}.")
    strange = [name for name in seen if not name.startswith(mine)]
    assert strange == []
    assert f"open generated/{stem}.json" in seen
    assert all(is_done(run, request) for request in [first, *others])
