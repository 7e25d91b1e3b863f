"""Ranks find each other without a port in any configuration, and none waits for ever for one that is gone."""

from __future__ import annotations

import multiprocessing
import socket
import sys
import time
from pathlib import Path

import pytest
import torch

from wavenet.errors import LostRankError
from wavenet.training.process_group import address_towards, joined
from wavenet.world import World

# Forked from a server that has imported torch once.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["wavenet.training.loop"])
SHORT, LONG = 2.0, 3600.0  # seconds: soon over, and longer than any test may take


def be_rank(rank: int, rendezvous: Path, timeout_seconds: float, behaviour: str) -> None:
    """Swap once, then behave; exit with 0 if the other one's number came, with 1 if it is lost."""
    with joined(World(rank, 2), rendezvous, "127.0.0.1", timeout_seconds) as group:
        assert group is not None
        received = group.swap(torch.full((1000,), float(rank)), 1 - rank)
        assert set(received.tolist()) == {float(1 - rank)}
        if behaviour == "leave":
            return
        if behaviour == "sleep":
            time.sleep(2 * SHORT)
        try:
            group.swap(received, 1 - rank)
        except LostRankError as error:
            sys.exit(error.exit_code)


def exit_codes(rendezvous: Path, timeout_seconds: float, *behaviours: str) -> list[int]:
    ranks = [
        PROCESSES.Process(target=be_rank, args=(rank, rendezvous, timeout_seconds, behaviour))
        for rank, behaviour in enumerate(behaviours)
    ]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join()
    return [process.exitcode for process in ranks]


def test_ranks_swap_and_leave_no_address_behind(tmp_path: Path) -> None:
    """The file is there only as long as somebody may still come."""
    assert exit_codes(tmp_path / "rendezvous", LONG, "stay", "stay") == [0, 0]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("behaviours", [("stay", "leave"), ("leave", "stay")])
def test_a_rank_that_is_gone_ends_the_other_at_once(tmp_path: Path, behaviours: tuple[str, str]) -> None:
    """Long before its patience ends."""
    codes = exit_codes(tmp_path / "rendezvous", LONG, *behaviours)
    assert codes == [LostRankError.exit_code if behaviour == "stay" else 0 for behaviour in behaviours]


def test_a_rank_that_is_silent_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    """As after a cut network, when no connection is closed."""
    assert exit_codes(tmp_path / "rendezvous", SHORT, "stay", "sleep")[0] == LostRankError.exit_code


@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_that_never_comes_is_not_waited_for_for_ever(tmp_path: Path, rank: int) -> None:
    """Neither by the first nor by another."""
    with (
        pytest.raises(LostRankError, match=r"another rank of this attempt is gone|published no address"),
        joined(World(rank, 2), tmp_path / "rendezvous", "127.0.0.1", 0.5),
    ):
        pass


def test_the_own_address_is_the_one_on_the_way() -> None:
    """To this host it is the loopback, whatever the host's name means."""
    with socket.socket() as there:
        there.bind(("127.0.0.1", 0))
        assert address_towards("127.0.0.1", there.getsockname()[1]) == "127.0.0.1"
