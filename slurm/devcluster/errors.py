"""What goes wrong here."""

from __future__ import annotations


class DevclusterError(Exception):
    """Says in one sentence what did not work and, where there is one, the remedy."""
