"""The command line: help from one table, one sentence for every error, and exit codes that mean something."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs import cli
from jobs.cli import VERBS, main
from jobs.keys.overrides import DERIVED
from jobs.keys.structure import keys_of

Run = Callable[..., "subprocess.CompletedProcess[str]"]
LIGHT = ("torch", "matplotlib", "submitit")


def test_help_lists_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    """Also for somebody who types nothing."""
    for words in (["--help"], ["-h"], ["help"], []):
        assert main(words) == 0
        shown = capsys.readouterr().out
        assert all(f"\n  {verb.name} " in shown and verb.summary in shown for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_a_verbs_help_lists_its_keys(verb: cli.Verb, capsys: pytest.CaptureFixture[str]) -> None:
    """Each key with its default; the word anywhere behind the verb is enough."""
    assert main([verb.name, "nonsense", "--help"]) == 0
    shown = capsys.readouterr().out
    names = {key.name for key in keys_of(verb.schema()) if not key.is_group} - DERIVED.keys()
    assert all(f"  {name}=" in shown for name in names)


def test_help_shows_the_values_of_what_is_typed(capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` behind a preset tells what the preset sets."""
    assert main(["train", "model=reference", "--help"]) == 0
    assert "  model.skip_channels=512 " in capsys.readouterr().out


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    """A name and a number."""
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("wavenet 0.")


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["trian"], 2, "wavenet has no verb 'trian'; did you mean 'train'?"),
        (["train"], 2, "`wavenet train` needs run="),
        (["report", "run=nowhere"], 3, "nowhere"),
        (["status", "run=nowhere"], 3, "there is no run at 'runs/nowhere'"),
        (["generate", "run=nowhere"], 3, "there is no checkpoint to generate with"),
        (["export", "run=nowhere", "target=x"], 3, "has no checkpoint"),
        (["train", "run=a", "data=nowhere"], 3, "found no index.json in "),
        (["prepare", "source=nowhere"], 3, "nowhere"),
        (["run", "run=a", "source=nowhere", "cluster=slurm"], 3, "source must be a folder of music, found nothing at"),
        (["train", "run="], 2, "run= must be a name"),
        (["import", "source=nowhere", "run=x"], 3, "nowhere"),
    ],
)
def test_an_error_is_one_sentence_and_a_code(
    words: list[str],
    code: int,
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """No traceback, one line, and no folder made on the way."""
    monkeypatch.chdir(tmp_path)
    assert main(words) == code
    told = capsys.readouterr().err
    assert told.startswith("wavenet: ")
    assert sentence in told
    assert told.count("\n") == 1


def test_what_nobody_foresaw_is_one_line_and_a_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The traceback is kept where the line says."""

    def broken(words: list[str]) -> None:
        raise ZeroDivisionError("a\nsurprise")

    monkeypatch.setattr(cli, "_dispatch", broken)
    assert main(["status"]) == 1
    told = capsys.readouterr().err
    assert told.startswith("wavenet: an error that nobody foresaw, ZeroDivisionError: a surprise; the details are in ")
    assert told.count("\n") == 1
    log = Path(told.split("the details are in ")[1].strip())
    assert "Traceback" in log.read_text()
    log.unlink()


def test_ctrl_c_has_a_shells_code(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """130, and a sentence instead of a traceback."""

    def interrupted(words: list[str]) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_dispatch", interrupted)
    assert main(["status"]) == 130
    assert "the same command goes on" in capsys.readouterr().err


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    """`wavenet train --help | head -1` says nothing about a broken pipe."""
    script = f"import sys; from jobs.cli import main; sys.exit(main({['train', '--help']!r}))"
    writer = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path
    )
    assert writer.stdout is not None
    writer.stdout.close()
    assert writer.stderr is not None
    complaint = writer.stderr.read()
    writer.stderr.close()
    assert writer.wait(60) == 128 + signal.SIGPIPE
    assert complaint == b""


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["status"], ["status", "--help"], ["report", "--help"]])
def test_what_only_reads_starts_without_torch(words: list[str], tmp_path: Path) -> None:
    """Help and status import nothing heavy."""
    script = (
        "import sys\nfrom jobs.cli import main\n"
        f"assert main({words!r}) == 0\n"
        f"print([name for name in {LIGHT!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr == "[]\n"
