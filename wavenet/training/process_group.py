"""Processes that train one run together: how they find each other and swap vectors.

Rank 0 opens a store on a free port and publishes its address in a file of the run folder, which all ranks see; a port
written in a configuration would collide when two runs share a node. The vectors travel between the addresses by which
each rank reaches rank 0: what a host's own name means is often the loopback, or nothing.
"""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from torch import Tensor, empty_like
from torch._C import _distributed_c10d as c10d  # torch.distributed has the same without types
from torch._C._distributed_c10d import PrefixStore, Store, TCPStore

from wavenet import durable
from wavenet.errors import LostRankError
from wavenet.world import World

_POLL_SECONDS = 0.1
_NO_TAG = 0
Waiting = Callable[[], contextlib.AbstractContextManager[None]]
_Gloo: Any = c10d.ProcessGroupGloo  # the types know neither its options nor how it receives


class ProcessGroup:
    """The other ranks of this attempt, reached by gloo. Created by `joined`."""

    def __init__(self, group: Any, store: Store, waiting: Waiting = contextlib.nullcontext) -> None:
        self._group = group
        self._store = store
        self._waiting = waiting

    def swap(self, vector: Tensor, partner: int) -> Tensor:
        """Exchange equal-shaped vectors with ``partner``.

        Raises:
            LostRankError: the partner is gone, or silent for too long.
        """
        vector, received = vector.contiguous(), empty_like(vector)
        with self._waiting(), _lost(f"rank {partner}"):
            sending = self._group.send([vector], partner, _NO_TAG)
            self._group.recv([received], partner, _NO_TAG).wait()
            sending.wait()
        return received

    def tell(self, key: str, text: str) -> None:
        """Publish ``text`` to the other ranks."""
        self._store.set(key, text)

    def hear(self, key: str) -> str:
        """Wait for what rank 0 publishes under ``key``.

        Raises:
            LostRankError: nothing came in time.
        """
        with self._waiting(), _lost("rank 0"):
            text: bytes = self._store.get(key)
        return text.decode()


@contextlib.contextmanager
def _lost(who: str) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise LostRankError(f"{who} of this attempt is gone or silent: {reason}") from error


@contextlib.contextmanager
def joined(
    world: World,
    rendezvous: Path | None,
    address: str,
    timeout_seconds: float,
    waiting: Waiting = contextlib.nullcontext,
) -> Iterator[ProcessGroup | None]:
    """Join the ``world.size`` processes that share the file ``rendezvous``; None for a process on its own.

    Args:
        rendezvous: a path that is new for each attempt: a stale address would be waited for in vain.
        address: host name or address under which the others reach this host; only rank 0's counts.
        timeout_seconds: of each wait for another rank; it may be validating or writing a checkpoint.
        waiting: entered for each such wait.

    Raises:
        LostRankError: not all of them came in time.
    """
    if world.size == 1:
        yield None
        return
    if rendezvous is None:
        raise ValueError("several processes need a rendezvous file")
    timeout = timedelta(seconds=timeout_seconds)
    try:
        with waiting(), _lost("another rank"):
            store, own = _open(rendezvous, address, timeout) if world.is_first else _find(rendezvous, timeout)
            group = _Gloo(PrefixStore("group", store), world.rank, world.size, _options(own, timeout))
    finally:
        if world.is_first:  # all have come, or none will
            rendezvous.unlink(missing_ok=True)
    yield ProcessGroup(group, PrefixStore("run", store), waiting)


def _options(address: str, timeout: timedelta) -> Any:
    options = _Gloo._Options()
    options._timeout = timeout
    options._devices = [_Gloo.create_device(hostname=address)]
    return options


def _open(rendezvous: Path, address: str, timeout: timedelta) -> tuple[TCPStore, str]:
    """Rank 0's store, and its address."""
    store = TCPStore(address, 0, is_master=True, wait_for_workers=False, timeout=timeout)
    durable.write_json(rendezvous, {"host": address, "port": store.port})
    return store, address


def _find(rendezvous: Path, timeout: timedelta) -> tuple[TCPStore, str]:
    """Rank 0's store, and the own address on the way there."""
    deadline = time.monotonic() + timeout.total_seconds()
    while time.monotonic() < deadline:
        with contextlib.suppress(FileNotFoundError, ValueError):
            published = json.loads(rendezvous.read_text(encoding="utf-8"))
            host, port = published["host"], published["port"]
            return TCPStore(host, port, is_master=False, timeout=timeout), address_towards(host, port)
        time.sleep(_POLL_SECONDS)
    raise LostRankError(f"rank 0 of this attempt published no address in {str(rendezvous)!r} in {timeout}")


def address_towards(host: str, port: int) -> str:
    """The address of this host on the way to another; nothing is sent."""
    family, kind, _, _, there = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind) as route:
        route.connect(there)
        return str(route.getsockname()[0])
