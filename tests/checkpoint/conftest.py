from __future__ import annotations

import numpy as np
import pytest

from wavenet.checkpoint import store
from wavenet.checkpoint.ledger import Ledger, Owner
from wavenet.run_paths import RunPaths


@pytest.fixture
def run(tmp_path):
    """A run folder whose name needs quoting everywhere."""
    return RunPaths(tmp_path / "a 'run'\nwith \"quotes\"")


@pytest.fixture
def owner():
    return Owner(host="n1", pid=1, pid_started=1)


def arrays_of(step):
    return {"weights": {"w": np.full(100, step, np.float32)}, "optimizer": {"m": np.arange(step, step + 7.0)}}


@pytest.fixture
def commit_to():
    def commit_to(run: RunPaths, ledger: Ledger, step: int):
        return store.commit(run, ledger, {"step": step, "position": step}, arrays_of(step))

    return commit_to


@pytest.fixture
def commit(run, commit_to):
    def commit(ledger: Ledger, step: int):
        return commit_to(run, ledger, step)

    return commit
