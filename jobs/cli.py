"""``wavenet VERB [key=value ...]``: the table of verbs, their help, and one sentence for whatever goes wrong."""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wavenet.errors import UsageError, WavenetError, did_you_mean

INTERRUPTED = 130  # a shell's code for Ctrl-C
BROKEN_PIPE = 141  # and for a reader that went away


@dataclass(frozen=True)
class Verb:
    """One verb: its line in the help, and where its keys and its program are."""

    name: str
    summary: str
    keys: str
    program: str

    def schema(self) -> type:
        """The dataclass of its keys."""
        keys: type = _imported(self.keys)
        return keys

    def run(self, keys: Any) -> None:
        """Do it."""
        _imported(self.program)(keys)


def _imported(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)


VERBS = tuple(
    Verb(name, summary, f"jobs.verbs.{module}:{name.capitalize()}Keys", f"jobs.verbs.{module}:{program}")
    for name, module, program, summary in (
        ("demo", "demo", "demo", "make a small music library and run the whole pipeline on it, with interruptions"),
        ("prepare", "prepare", "prepare", "folder of music -> catalogue -> shards"),
        ("train", "train", "train", "shards -> checkpoints; the same command again resumes"),
        ("generate", "generate", "generate", "genre x checkpoint -> audio"),
        ("report", "report", "report", "run folder -> report/index.html"),
        ("run", "run", "run", "all stages, each skipping what is done"),
        ("status", "status", "status", "what each run is doing, its restarts and why, what is left"),
        ("logs", "logs", "logs", "what a run prints, attempt after attempt, until it is over"),
        ("cancel", "cancel", "cancel", "stop a run, its jobs in the queue included, until it is started again"),
        ("doctor", "doctor", "doctor", "what will not work here, with the remedy; exit code 11 if there is something"),
        ("drill", "drill", "drill", "prove here that an interrupted training ends in the bytes of one left alone"),
        ("import", "interchange", "import_", "a foreign checkpoint -> a run"),
        ("export", "interchange", "export", "a checkpoint -> safetensors and configuration"),
    )
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code, that of `wavenet.errors` where there is an error."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        _dispatch(words)
        sys.stdout.flush()
    except WavenetError as error:
        _complain(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        _complain("stopped by Ctrl-C; what is finished is kept, and the same command goes on from there")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader, such as `head`, has enough. Python would complain again when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except Exception as error:
        _complain(f"an error that nobody foresaw, {_one_line(error)}; the details are in {_write_traceback()}")
        return WavenetError.exit_code
    return 0


def _dispatch(words: list[str]) -> None:
    if not words or words[0] in ("--help", "-h", "help"):
        from jobs.keys.help import overview

        print(overview(VERBS))
        return
    if words[0] in ("--version", "-V"):
        from importlib.metadata import version  # not for every command: it takes a twentieth of a second

        print(f"wavenet {version('wavenet-exploration')}")
        return
    verb = _find(words[0])
    if any(word in ("--help", "-h") for word in words[1:]):
        from jobs.keys.help import of_verb

        print(of_verb(verb.name, verb.summary, verb.schema(), [word for word in words[1:] if "=" in word]))
        return
    verb.run(_keys(verb, words[1:]))


def _find(name: str) -> Verb:
    for verb in VERBS:
        if verb.name == name:
            return verb
    raise UsageError(f"wavenet has no verb {name!r}{did_you_mean(name, [verb.name for verb in VERBS])}")


def _keys(verb: Verb, arguments: Sequence[str]) -> Any:
    from jobs.keys.compose import compose_for_run

    return compose_for_run(verb.name, verb.schema(), arguments)


def _complain(sentence: str) -> None:
    print(f"wavenet: {sentence}".encode("utf-8", "backslashreplace").decode(), file=sys.stderr, flush=True)


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


def _write_traceback() -> str:
    with tempfile.NamedTemporaryFile("w", prefix="wavenet-error-", suffix=".log", delete=False) as log:
        log.write(traceback.format_exc())
    return str(Path(log.name))
