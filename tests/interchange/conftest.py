"""The published kind of checkpoint, with what the program that wrote it computed from it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

FOLDER = Path(__file__).parents[1] / "data" / "tf-checkpoint"


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def reference_prefix() -> Path:
    return FOLDER / "model.ckpt-50"


@pytest.fixture(scope="session")
def expected() -> dict[str, np.ndarray]:
    with np.load(FOLDER / "expected-50.npz") as file:
        return dict(file)


@pytest.fixture
def copied_prefix(reference_prefix, tmp_path) -> Path:
    """The checkpoint's files where they may be damaged, under a name with a space and a quote."""
    for path in FOLDER.glob("model.ckpt-50.*"):
        shutil.copy(path, tmp_path / path.name.replace("model", "my 'model"))
    return tmp_path / "my 'model.ckpt-50"
