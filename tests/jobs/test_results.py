"""Which errors end a task for good, and which are worth another try."""

from __future__ import annotations

import pytest

from jobs.results import Failed, caught
from jobs.work.slurm_tasks import exit_code
from wavenet import errors
from wavenet.errors import WavenetError

AGAIN = {"InterruptedRunError", "LostRankError", "OutOfMemoryError", "StorageError"}
EVERY = [kind for kind in WavenetError.__subclasses__() if kind.__module__ == errors.__name__]


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.__name__)
def test_only_what_may_end_differently_is_tried_again(kind: type[WavenetError]) -> None:
    """A full disk may have room again; a loss that is no number, bad data or another identity would come again."""

    def fail() -> None:
        raise kind("for this reason")

    failed = caught(fail)
    assert isinstance(failed, Failed)
    assert failed.is_final == (kind.__name__ not in AGAIN)
    assert (failed.message, exit_code(failed)) == ("for this reason", kind.exit_code)
