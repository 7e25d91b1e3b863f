"""Processes that train one run together: how they find each other and swap vectors.

Rank 0 opens a store on a free port and publishes its address in a file of the run folder, which all ranks see; a port
written in a configuration would collide when two runs share a node.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor
from torch._C._distributed_c10d import PrefixStore, Store, TCPStore  # torch.distributed re-exports them without types

from wavenet import durable
from wavenet.errors import InterruptedRunError
from wavenet.world import World

_TIMEOUT = timedelta(minutes=5)
_POLL_SECONDS = 0.1


class ProcessGroup:
    """The other ranks of this attempt, reached by gloo. Created by `joined`."""

    def __init__(self, world: World, store: Store) -> None:
        self._world = world
        self._store = store

    def swap(self, vector: Tensor, partner: int) -> Tensor:
        """Exchange equal-shaped vectors with ``partner``.

        Raises:
            InterruptedRunError: the partner is gone or silent for five minutes; the run can go on from its checkpoint.
        """
        received = torch.empty_like(vector)
        with _lost_partner(partner):
            sending = dist.isend(vector.contiguous(), partner)
            dist.recv(received, partner)
            if sending is not None:
                sending.wait()
        return received

    def tell(self, key: str, text: str) -> None:
        """Publish ``text`` to the other ranks."""
        self._store.set(key, text)

    def hear(self, key: str) -> str:
        """Wait for what a rank published under ``key``.

        Raises:
            InterruptedRunError: nothing came within five minutes.
        """
        with _lost_partner(0):
            text: bytes = self._store.get(key)
        return text.decode()


@contextlib.contextmanager
def _lost_partner(partner: int) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise InterruptedRunError(f"rank {partner} of this attempt is gone or silent: {error}") from error


@contextlib.contextmanager
def joined(world: World, rendezvous: Path | None, address: str) -> Iterator[ProcessGroup | None]:
    """Join the ``world.size`` processes that share the file ``rendezvous``; None for a process on its own.

    Args:
        rendezvous: a path that is new for each attempt: a stale address would be waited for in vain.
        address: host name or address under which the others reach this host; only rank 0's counts.
    """
    if world.size == 1:
        yield None
        return
    if rendezvous is None:
        raise ValueError("several processes need a rendezvous file")
    store = _open_store(rendezvous, address) if world.is_first else _find_store(rendezvous)
    dist.init_process_group("gloo", store=store, rank=world.rank, world_size=world.size, timeout=_TIMEOUT)
    try:
        yield ProcessGroup(world, PrefixStore("run", store))
    finally:
        dist.destroy_process_group()


def _open_store(rendezvous: Path, address: str) -> TCPStore:
    store = TCPStore(address, 0, is_master=True, wait_for_workers=False, timeout=_TIMEOUT)
    durable.write_json(rendezvous, {"host": store.host, "port": store.port})
    return store


def _find_store(rendezvous: Path) -> TCPStore:
    deadline = time.monotonic() + _TIMEOUT.total_seconds()
    while time.monotonic() < deadline:
        with contextlib.suppress(FileNotFoundError, ValueError):
            address = json.loads(rendezvous.read_text(encoding="utf-8"))
            return TCPStore(address["host"], address["port"], is_master=False, timeout=_TIMEOUT)
        time.sleep(_POLL_SECONDS)
    raise InterruptedRunError(f"rank 0 of this attempt published no address in {str(rendezvous)!r} within five minutes")
