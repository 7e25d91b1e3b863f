"""How long work tells its caller how far it is, without knowing of terminals or logs."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Called as ``progress(done, total)``, in units that the callee's docstring names."""


def silent(done: int, total: int) -> None:
    """A `Progress` that tells nobody."""
