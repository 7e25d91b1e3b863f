"""How a task ended, as plain values that its launcher can read without importing torch."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from wavenet.errors import InterruptedRunError, LostRankError, OutOfMemoryError, StorageError, WavenetError

_MAY_END_DIFFERENTLY = (InterruptedRunError, LostRankError, OutOfMemoryError, StorageError)


@dataclass(frozen=True)
class Done:
    """The task did its work; for training, ``value`` is its `wavenet.training.job.Outcome`."""

    value: Any = None


@dataclass(frozen=True)
class Failed:
    """The task ended by an error. A final one would come again: it is not started anew."""

    message: str
    is_final: bool
    exit_code: int = 1


@dataclass(frozen=True)
class Killed:
    """The process is gone without a word: SIGKILL, out of memory, power."""

    message: str = "the process was killed"


Result = Done | Failed | Killed


def caught(work: Callable[[], Any]) -> Done | Failed:
    """Do ``work`` and tell how it ended. The traceback of an error that nobody foresaw goes to the task's log."""
    try:
        return Done(work())
    except _MAY_END_DIFFERENTLY as error:
        return Failed(str(error), is_final=False, exit_code=error.exit_code)
    except WavenetError as error:
        return Failed(str(error), is_final=True, exit_code=error.exit_code)
    except Exception as error:
        traceback.print_exc(file=sys.stderr)
        return Failed(" ".join(f"{type(error).__name__}: {error}".split())[:300], is_final=False)
