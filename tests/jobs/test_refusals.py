"""What sbatch says decides whether to wait, to look, or to give up; the words are those of real clusters."""

from __future__ import annotations

import pytest

from jobs.queue.refusals import Refusal, read_refusal

POLICY = "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)"

LOST = "Socket timed out on send/recv operation"


def complaint(*lines: str) -> str:
    *before, last = lines
    return "".join(f"sbatch: error: {line}\n" for line in (*before, f"Batch job submission failed: {last}"))


@pytest.mark.parametrize(
    ("words", "refusal", "reason"),
    [
        (complaint("AssocMaxSubmitJobLimit", POLICY), Refusal.limit, "AssocMaxSubmitJobLimit"),
        (complaint("QOSMaxSubmitJobPerUserLimit", POLICY), Refusal.limit, "QOSMaxSubmitJobPerUserLimit"),
        (complaint("AssocGrpSubmitJobsLimit", POLICY), Refusal.limit, "AssocGrpSubmitJobsLimit"),
        (complaint(POLICY), Refusal.limit, POLICY),
        (complaint("Resource temporarily unavailable"), Refusal.away, "Resource temporarily unavailable"),
        (
            complaint("Unable to contact slurm controller (connect failure)"),
            Refusal.away,
            "Unable to contact slurm controller (connect failure)",
        ),
        (
            complaint("Socket timed out on send/recv operation"),
            Refusal.unsure,
            "Socket timed out on send/recv operation",
        ),
        (
            complaint("Zero Bytes were transmitted or received"),
            Refusal.unsure,
            "Zero Bytes were transmitted or received",
        ),
    ],
)
def test_what_may_pass_is_waited_for(words: str, refusal: Refusal, reason: str) -> None:
    """Limits, a controller that is away, an answer that was lost; with the word that says most."""
    answer = read_refusal(words)
    assert (answer.refusal, answer.reason) == (refusal, reason)


@pytest.mark.parametrize(
    ("words", "keys"),
    [
        (complaint("Invalid account or account/partition combination specified"), "cluster.account"),
        (complaint("invalid partition specified: nix", "Invalid partition name specified"), "cluster.partition"),
        (complaint("Invalid qos specification"), "cluster.qos"),
        (complaint("QOSMaxWallDurationPerJobLimit", POLICY), "cluster.time_limit_minutes"),
        (complaint("Requested time limit is invalid (missing or exceeds some limit)"), "cluster.time_limit_minutes"),
        (
            complaint("Memory specification can not be satisfied", "Requested node configuration is not available"),
            "cluster.memory_gb",
        ),
        (complaint("Requested node configuration is not available"), "cluster.cpus_per_task"),
        (complaint("Invalid feature specification"), "cluster.constraint"),
        ("sbatch: error: Invalid generic resource (gres) specification\n", "cluster.gres"),
        (complaint("Requested reservation is invalid"), "cluster.reservation"),
        (complaint("Invalid node name specified"), "cluster.exclude"),
        (complaint("Invalid job array specification"), "cluster.array_size"),
        ("sbatch: unrecognized option '--x=1'\nTry \"sbatch --help\" for more information\n", "cluster.sbatch"),
        ("", "the profile"),
    ],
)
def test_what_would_come_again_ends_at_once(words: str, keys: str) -> None:
    """With the key of the profile to look at."""
    answer = read_refusal(words)
    assert answer.refusal is Refusal.final
    assert answer.keys.startswith(keys)
    assert "\n" not in answer.reason
    assert "sbatch:" not in answer.reason
