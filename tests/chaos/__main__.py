"""``python -m tests.chaos 100``: a run to which a hundred things happen, on a Slurm of its own; prints a table."""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack

from slurm.devcluster import cluster as clusters
from tests.chaos.campaign import GRACE_SECONDS, NUM_NODES, SETTINGS, campaign, plan, small_disk, table
from tests.cluster.conftest import free_name, leave, settled
from tests.cluster.program import readable


def main() -> int:
    """Return 1 where something was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("number", type=int, help="things to happen")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with ExitStack() as ends:
        program = ends.enter_context(readable())
        folder = ends.enter_context(small_disk())
        cluster = clusters.up(
            free_name("h"), num_nodes=NUM_NODES, grace_seconds=GRACE_SECONDS, is_isolated=True, settings=SETTINGS
        )
        ends.callback(clusters.down, cluster)
        user = settled(cluster, program)
        ends.callback(leave, user)
        outcome = campaign(user, folder, plan(options.number, options.seed), options.seed, _say)
    for line in table(outcome.costs):
        _say(line)
    minutes, released = outcome.seconds / 60, outcome.num_released
    _say(
        f"{len(outcome.costs)} blows, {outcome.num_attempts} attempts, released {released} times, {minutes:.0f} minutes"
    )
    for sentence in outcome.found or ["bitwise equal to a run that nothing happened to"]:
        _say(sentence)
    return 1 if outcome.found else 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
