"""What goes wrong here."""

from __future__ import annotations


class BuildError(Exception):
    """Says in one sentence what could not be built or is lacking, and the remedy where there is one."""
