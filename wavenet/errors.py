"""Every error a user can cause or meet, each with the exit code of the command that ends with it.

::

    WavenetError                1   (also the exit code of a crash that nobody foresaw)
    ├── UsageError              2   a misspelt verb, key or value on the command line or in a profile
    ├── InputError              3   music, tags, shards or a foreign checkpoint that cannot be used
    │   └── RecordingError      3   one recording that cannot be used; `prepare` lists it and goes on
    ├── MismatchError           4   a run that goes on with another identity, a checkpoint of another model
    ├── BusyError               5   the run is already queued or running
    ├── StorageError            6   a full, read-only or forbidden disk
    ├── NumericsError           7   a loss that is not a finite number
    ├── FencedError             8   a newer attempt owns the run; never requeued
    ├── DamagedError            9   nothing sound is left to go on from
    ├── StageFailedError       10   a task of an array failed for good
    ├── UnfitError             11   `doctor` or `drill` found something here that will not work
    ├── HoursUsedError         12   the run has used the hours that it may; saved, and more hours go on
    ├── OutOfMemoryError       13   a process got no more memory; tried again after a pause
    ├── LostRankError           1   another process of the attempt is gone; start the run again to go on
    └── InterruptedRunError    75   stopped before its end, everything saved; start it again to go on

A message is one sentence with four parts: which file or key, the rule, the value found, what would be valid.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class WavenetError(Exception):
    """Base of all errors that end a command with one sentence instead of a traceback."""

    exit_code = 1


class UsageError(WavenetError):
    """A verb, key or value of the command line, a configuration or a profile is not valid."""

    exit_code = 2


class InputError(WavenetError):
    """A user's file or folder (music, tag table, shard, foreign checkpoint) cannot be used."""

    exit_code = 3


class RecordingError(InputError):
    """One recording cannot be used, for ``reason`` (a few words, the same for all such recordings) and ``detail``."""

    def __init__(self, sentence: str, reason: str = "cannot be used", detail: str = "") -> None:
        super().__init__(sentence)
        self.reason = reason
        self.detail = detail


class MismatchError(WavenetError):
    """Two things that must agree (run and configuration, checkpoint and model) differ."""

    exit_code = 4


class BusyError(WavenetError):
    """The run is owned by an attempt that is queued or running."""

    exit_code = 5


class StorageError(WavenetError):
    """The file system refused: no space, no quota, no permission, read-only, or an I/O error."""

    exit_code = 6


class NumericsError(WavenetError):
    """Training produced a loss that is not a finite number."""

    exit_code = 7


class FencedError(WavenetError):
    """A newer attempt has claimed the run; this process must stop and change nothing more."""

    exit_code = 8


class DamagedError(WavenetError):
    """Committed data is unreadable and nothing sound is left to fall back to."""

    exit_code = 9


class StageFailedError(WavenetError):
    """A task of a stage failed for good; the message carries its reason."""

    exit_code = 10


class LostRankError(WavenetError):
    """Another process that trains the same run is gone or silent.

    The exit code is the lowest: srun ends with the highest of all its tasks, and why the other one is gone decides.
    """

    exit_code = 1


class UnfitError(WavenetError):
    """Something of this machine or cluster will not do; what it is, and the remedy, has been told."""

    exit_code = 11


class HoursUsedError(WavenetError):
    """All attempts of the run together have taken the hours that they may; everything is saved."""

    exit_code = 12


class OutOfMemoryError(WavenetError):
    """A process got no more memory; with others gone, or elsewhere, there may be enough."""

    exit_code = 13


class InterruptedRunError(WavenetError):
    """The command was stopped before its end with everything saved; the same command goes on."""

    exit_code = 75


def did_you_mean(found: str, valid: Iterable[str]) -> str:
    """Return the end of a sentence that names the valid choices, the most similar one first.

    The text is empty when there are no choices, so it can be appended to any message.
    """
    choices = list(valid)
    near = difflib.get_close_matches(found, choices, n=1, cutoff=0.6)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; valid: {', '.join(sorted(choices))}" if choices else ""
