"""submitit's Slurm executor with a way into the queue of our own, which waits and does not submit twice."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from submitit import SlurmExecutor, SlurmJob
from submitit.core.utils import DelayedSubmission, JobPaths

from jobs.queue.patience import Patience, Request, hand_in
from wavenet import durable


class PatientExecutor(SlurmExecutor):
    """Submits one job, or one array; for the next there is a new executor, in the same folder if need be."""

    def __init__(self, folder: Path, python: str, patience: Patience, *, is_array: bool) -> None:
        """``is_array``: the rest of a divided array is one as well, even if it is one task."""
        super().__init__(folder, python=python)
        self._patience = patience
        self._is_array = is_array

    def _internal_process_submissions(self, delayed_submissions: Sequence[DelayedSubmission]) -> list[Any]:
        """What submitit does with its own call of sbatch, which knows neither waiting nor looking.

        Raises:
            StageFailedError, TooManyError, KeyboardInterrupt: as `hand_in`; the folder is as it was.
        """
        mark = uuid.uuid4().hex
        pickles = [self.folder / f"{mark}-{number}.pkl" for number in range(len(delayed_submissions))]
        script = self.folder / f"{mark}.sh"
        if self._is_array:
            self.parameters["map_count"] = len(pickles)
        try:
            with durable.storage_errors(self.folder):
                for delayed, pickle in zip(delayed_submissions, pickles, strict=True):
                    delayed.dump(pickle)
                script.write_text(self._make_submission_file_text(self._submitit_command_str, mark), "utf-8")
            job_id = hand_in(self._request(script, mark, can_be_smaller=len(pickles) > 1), self._patience)
        except BaseException:
            for file in (*pickles, script):
                file.unlink(missing_ok=True)
            raise
        ids = [f"{job_id}_{number}" for number in range(len(pickles))] if self._is_array else [job_id]
        JobPaths(self.folder, job_id).move_temporary_file(script, "submission_file")
        for one, pickle in zip(ids, pickles, strict=True):
            JobPaths(self.folder, one).move_temporary_file(pickle, "submitted_pickle")
        return [SlurmJob(folder=self.folder, job_id=one, tasks=list(range(self._num_tasks()))) for one in ids]

    def _request(self, script: Path, mark: str, *, can_be_smaller: bool) -> Request:
        own = self.parameters.get("additional_parameters", {}).get("comment", "")
        name = self.parameters["job_name"]
        return Request(name, script, f"{own} wavenet-{mark}".strip(), f"wavenet-{mark}", can_be_smaller)
