"""The beginning of an attempt: refuse another identity, claim the run, find the checkpoint to go on from."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from wavenet.checkpoint import state, store
from wavenet.checkpoint.ledger import Ledger
from wavenet.errors import DamagedError, InputError, LostRankError, WavenetError
from wavenet.shards.index import Dataset
from wavenet.training import determinism
from wavenet.training.history import HistoryWriter, overtaken_by, read_past
from wavenet.training.identity import Identity, identity_of, require_same
from wavenet.training.image import image_version
from wavenet.training.job import TrainingJob
from wavenet.training.process_group import ProcessGroup
from wavenet.training.recorder import Announce, CheckpointClock, Recorder
from wavenet.training.spent import summary_of
from wavenet.training.step import Optimizer
from wavenet.training.stopwatch import Stopwatch


@dataclass(frozen=True)
class Beginning:
    """What a rank knows when an attempt begins: rank 0 alone has a recorder, a run that begins has no checkpoint."""

    attempt: int
    recorder: Recorder | None
    checkpoint: Path | None


def begin(
    job: TrainingJob, dataset: Dataset, group: ProcessGroup | None, announce: Announce, watch: Stopwatch
) -> Beginning:
    """Claim the run (rank 0 alone) and learn which checkpoint to go on from (all ranks)."""
    if group is None:
        recorder = _claim(job, dataset, announce, watch)
        return Beginning(recorder.ledger.attempt, recorder, _newest(recorder))
    if not job.world.is_first:
        return _told_by_first(group)
    try:
        recorder = _claim(job, dataset, announce, watch)
    except WavenetError as error:
        group.tell("resume", json.dumps({"error": str(error)}))
        raise
    newest = _newest(recorder)
    attempt = recorder.ledger.attempt
    group.tell("resume", json.dumps({"attempt": attempt, "checkpoint": str(newest or "")}))
    return Beginning(attempt, recorder, newest)


def _newest(recorder: Recorder) -> Path | None:
    return recorder.committed[-1].path if recorder.committed else None


def _told_by_first(group: ProcessGroup) -> Beginning:
    told = json.loads(group.hear("resume"))
    if "error" in told:
        raise LostRankError(f"rank 0 of this attempt could not begin: {told['error']}")
    return Beginning(told["attempt"], None, Path(told["checkpoint"]) if told["checkpoint"] else None)


def _claim(job: TrainingJob, dataset: Dataset, announce: Announce, watch: Stopwatch) -> Recorder:
    numerics = {
        **determinism.numeric_versions(),
        **image_version(),
        "fingerprint": determinism.fingerprint(job.model),
    }
    identity = identity_of(
        model=job.model, training=job.training, seed=job.seed, data_digest=dataset.digest, numerics=numerics
    )
    # Before the claim, so that a refused start leaves the run as it was.
    accepted = _check_identity(job, identity)
    ledger = Ledger.claim(job.run, job.owner)
    overtook = overtaken_by(job.run, ledger.attempt)
    recovered = store.recover(job.run, ledger)
    resumed_step = recovered.newest.step if recovered.newest else 0
    past = read_past(job.run, resumed_step)
    clock = CheckpointClock(job.training, stalls=past.stalls)
    history = HistoryWriter(job.run, ledger.attempt)
    history.append(
        "start",
        attempt=ledger.attempt,
        **asdict(job.owner),
        resumed_step=resumed_step,
        num_steps=job.training.num_steps,
        processes=job.world.size,
        threads=job.training.threads,
        fingerprint=numerics["fingerprint"],
        accepted=accepted,
        versions=numerics,
        damages=recovered.damages,
        lost=asdict(job.lost) if job.lost else None,
        overtook=overtook,
        queue_seconds=job.launch.queue_seconds,
        excluded=job.launch.excluded,
        **watch.start(),
        stalls=asdict(summary_of(past.stalls, clock.interval)) if past.stalls else None,
    )
    for damage in recovered.damages:
        announce(f"{damage}; the run goes on from step {resumed_step}")
    going_on = f"going on from step {resumed_step}" if resumed_step else "starting from new weights"
    announce(f"attempt {ledger.attempt} on {job.owner.host}: {going_on}")
    return Recorder(
        run=job.run,
        config=job.training,
        ledger=ledger,
        history=history,
        committed=recovered.committed,
        facts=_checkpoint_facts(job, dataset, identity),
        announce=announce,
        clock=clock,
        watch=watch,
        validated_step=past.validated_step,
        stalls=past.stalls,
    )


def _check_identity(job: TrainingJob, identity: Identity) -> list[str]:
    """Compare with the newest checkpoint that can be read; a damaged one is for `store.recover` to name."""
    for checkpoint in reversed(store.list_committed(job.run)):
        with contextlib.suppress(DamagedError, InputError):
            return require_same(job.run.name, state.read_facts(checkpoint.path)["identity"], identity, job.accept)
    return []


def _checkpoint_facts(job: TrainingJob, dataset: Dataset, identity: Identity) -> dict[str, Any]:
    return {
        "model": job.model.to_dict(),
        "sample_rate_hz": dataset.sample_rate_hz,
        "classes": [facts.name for facts in dataset.classes],
        "data_digest": dataset.digest,
        "identity": identity,
    }


def restore(optimizer: Optimizer, checkpoint: Path | None) -> int:
    """Put the optimiser where ``checkpoint`` left it and return its step; 0 without a checkpoint.

    Raises:
        InputError: the checkpoint holds weights alone.
        DamagedError, MismatchError: as in `state.read_arrays` and `WaveNet.load_arrays`.
    """
    if checkpoint is None:
        return 0
    facts = state.read_facts(checkpoint)
    groups = [name.removesuffix(".safetensors") for name in facts["files"]]
    if "optimizer" not in groups:
        raise InputError(
            f"the checkpoint {str(checkpoint)!r} holds weights alone, as imported ones do: training cannot go on from "
            "it, because the optimiser's memory is missing; it can be generated from and exported"
        )
    step: int = facts["step"]
    optimizer.restore(step, {group: state.read_arrays(checkpoint, group) for group in groups})
    return step
