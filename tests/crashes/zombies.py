"""Let an attempt sleep at one system call, let a newer attempt take the run over, and let the old one go on."""

from __future__ import annotations

from pathlib import Path

from tests.crashes.campaigns import Result, begun, scratch
from tests.crashes.judge import violations
from tests.crashes.tracer import CHANGES, Call
from tests.crashes.writer import Writer, attempt, writing
from wavenet.errors import FencedError
from wavenet.run_paths import RunPaths

Bytes = dict[Path, bytes]


def bytes_of(run: RunPaths) -> Bytes:
    """Every file of the run, but for what each attempt writes about itself: its history and its log."""
    files = (path for path in run.root.rglob("*") if path.is_file())
    return {path: path.read_bytes() for path in files if run.history not in path.parents}


def awaken(stride: int = 1) -> Result:
    """An attempt sleeps at every ``stride``-th of its changes after its claim, and wakes when it is overtaken."""
    result = Result()
    with scratch() as folder:
        for spoilt in (False, True):
            place = 0
            while _sleep_at(folder, place, result, spoilt=spoilt):
                place += stride
    return result


def _sleep_at(folder: Path, place: int, result: Result, *, spoilt: bool) -> bool:
    """One zombie, asleep at change ``place`` after its claim; returns whether it had so many."""
    run = begun(folder / f"{place} {spoilt}", spoilt=spoilt)
    run.generated.mkdir()
    (run.generated / "gen_genre-0_num-10.wav").write_bytes(b"RIFF")
    with writing(run, folder, CHANGES) as writer:
        call = _nth_after_claim(writer, place)
        if call is None:
            return False
        attempt(run, lambda kind, value: None)
        before = bytes_of(run)
        code = writer.process.let_go()
        found = _differences(before, bytes_of(run))
        # One that had no more to write ends well.
        if code not in (FencedError.exit_code, 0):
            found.append(f"it ended with {code}: {writer.told().error}")
    found += violations(run, {20, 30} if spoilt else {30, 40})
    result.note("asleep while overtaken", call, found)
    return True


def _nth_after_claim(writer: Writer, place: int) -> Call | None:
    has_claimed = False
    while (call := writer.process.next_call()) is not None:
        has_claimed = has_claimed or writer.told().has_claimed
        if has_claimed and call.is_change:
            if place == 0:
                return call
            place -= 1
    return None


def _differences(before: Bytes, after: Bytes) -> list[str]:
    changed = [path for path in before if path in after and before[path] != after[path]]
    named = {"removed": before.keys() - after.keys(), "added": after.keys() - before.keys(), "changed": changed}
    return [f"{what} {path.parent.name}/{path.name}" for what, paths in named.items() for path in sorted(paths)]
