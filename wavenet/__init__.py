"""Train WaveNet on a folder of tagged music and generate audio from it.

For notebooks: ``wavenet.load(path)`` and ``wavenet.generate(model, conditions, num_samples, seed)``. Both come when
they are first used, because they bring torch, and reading a run's history must not take seconds.
"""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {"load": "wavenet.interchange.load", "generate": "wavenet.interchange.loaded"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'wavenet' has no attribute {name!r}")
