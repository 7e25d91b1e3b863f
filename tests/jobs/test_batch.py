"""What the batch script decides where Slurm's answers are late, lost or missing, which no cluster does on demand."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs import outside
from jobs.queue.succession import read_lines
from tests.jobs.batch_script import CANCELLED, IN_GRACE, REQUEUED, RUNNING, TIMED_OUT, Script


def test_without_an_answer_of_squeue_the_user_is_told_what_to_type(script: Script) -> None:
    """Whether it was cancelled cannot be known, and what was cancelled must not come back."""
    script.say("squeue", "exit 1")
    assert script.run("exit 75") == 75
    (line,) = script.decisions()
    assert line.startswith(
        "ended with 75, and squeue does not say whether it was cancelled: not requeued; go on with `"
    )
    assert line.endswith(f"`wavenet train run={shlex.quote(str(script.jobs.parent))}`")
    (task,) = read_lines(script.folder)
    assert task.failure == line


def test_a_controller_that_is_away_for_minutes_is_waited_for(script: Script) -> None:
    """Its job is still there when it comes back, and nobody else would put it into the queue again."""
    script.say("sleep", 'echo "$1" >> "$0.pauses"')
    put_back = f'if [ -e "$(dirname $0)/scontrol.asked" ]; then echo {REQUEUED}; else echo {RUNNING}; fi'
    script.say("squeue", f'[ "$(grep -c . "$(dirname $0)/sleep.pauses")" -ge 7 ] || exit 1\n{put_back}')
    script.say("scontrol", 'touch "$0.asked"')
    assert script.run("exit 75") == 75
    assert script.decisions() == ["ended with 75: requeued"]
    assert sum(map(int, (script.commands / "sleep.pauses").read_text("utf-8").split())) >= 120


def test_where_there_is_no_squeue_nobody_is_waited_for(script: Script) -> None:
    """An allocation that waits is paid for."""
    script.say("sleep", "exit 1")
    script.say("squeue", "exit 127")
    assert script.run("exit 75") == 75
    assert "squeue does not say" in script.decisions()[0]


def test_a_job_that_is_cancelled_just_before_it_asks_for_requeue_stays_away(script: Script) -> None:
    """Slurm takes the question without an error and does nothing."""
    script.say("scontrol", f'echo "echo {CANCELLED}" >> "{script.commands}/squeue.later"')
    script.say("squeue", f'if [ -e "$0.later" ]; then echo {CANCELLED}; else echo {RUNNING}; fi')
    script.run("exit 75")
    assert script.decisions() == ["ended with 75, cancelled at the same time: not requeued"]


def test_a_job_that_is_just_being_told_is_put_back(script: Script) -> None:
    """Slurm calls it SIGNALING until its nodes have answered; taken for one that was cancelled it would be lost."""
    told = RUNNING.replace("RUNNING", "SIGNALING")
    script.say("scontrol", 'touch "$0.asked"')
    script.say("squeue", f'if [ -e "$(dirname $0)/scontrol.asked" ]; then echo {REQUEUED}; else echo {told}; fi')
    script.run("exit 75")
    assert script.decisions() == ["ended with 75: requeued"]


def test_a_requeue_names_the_element_of_an_array(script: Script) -> None:
    """The plain id of its last element is that of the whole array."""
    script.say("scontrol", 'echo "$@" >> "$0.asked"')
    script.say("squeue", f'if [ -e "$(dirname $0)/scontrol.asked" ]; then echo {REQUEUED}; else echo {RUNNING}; fi')
    script.run("exit 75", SLURM_ARRAY_JOB_ID="7", SLURM_ARRAY_TASK_ID="3")
    assert (script.commands / "scontrol.asked").read_text("utf-8") == "requeue Incomplete 7_3\n"
    assert script.decisions() == ["ended with 75: requeued"]


def test_a_successor_whose_submission_was_answered_too_late_is_not_submitted_twice(script: Script) -> None:
    """It bears a mark by which it is found in the queue."""
    script.say(
        "squeue",
        f"""
case "$*" in
  *--user=*) sed 's/^/8|/' "{script.commands}/sbatch.comment" 2> /dev/null ;;
  *) echo {TIMED_OUT} ;;
esac""",
    )
    script.say(
        "sbatch",
        """
for word in "$@"; do case $word in --comment=*) echo "${word#--comment=}" >> "$0.comment" ;; esac; done
echo "sbatch: error: Socket timed out on send/recv operation" >&2
exit 1""",
    )
    script.run("exit 75")
    assert script.decisions() == ["ended with 75, by Slurm's will (TimeLimit): handed over to job 8"]
    assert len((script.commands / "sbatch.comment").read_text("utf-8").splitlines()) == 1
    assert (script.jobs / "submitted").read_text("utf-8") == "8 name\n"
    (task,) = read_lines(script.folder)
    assert (task.first, task.job_id, task.is_done, task.failure) == ("7", "8", False, None)


def test_a_successor_does_not_inherit_what_belongs_to_this_job(script: Script) -> None:
    """Its restarts would be counted on; the user's own settings stay."""
    script.say("squeue", f"echo {TIMED_OUT.replace(' 0 ', ' 2 ')}")
    script.say("sbatch", 'env > "$0.environment"; echo "8;cluster"')
    script.run("exit 75", SLURM_RESTART_COUNT="2", SLURM_CONF="/etc/slurm.conf", SBATCH_ACCOUNT="lab")
    lines = (script.commands / "sbatch.environment").read_text("utf-8").splitlines()
    ours = sorted(line for line in lines if line.startswith(("SLURM_", "WAVENET_", "SBATCH_")))
    assert ours == ["SBATCH_ACCOUNT=lab", "SLURM_CONF=/etc/slurm.conf"]


def test_whoever_cancels_while_a_successor_is_submitted_cancels_it_too(script: Script) -> None:
    """The mark is looked for again when the successor is known."""
    script.say("squeue", f"echo {TIMED_OUT}")
    script.say("sbatch", f'touch "{script.jobs}/stopped"; echo 8')
    script.say("scancel", 'echo "$@" > "$0.asked"')
    script.run("exit 75")
    assert (script.commands / "scancel.asked").read_text("utf-8") == "8\n"


@pytest.mark.parametrize(("answer", "codes"), [(RUNNING, [1, 10]), (IN_GRACE, [1, 1, 1, 1])])
def test_restarts_without_progress_are_counted_but_not_preemptions(
    script: Script, answer: str, codes: list[int]
) -> None:
    """A job that is preempted again and again before its first checkpoint has done nothing wrong."""
    script.say("squeue", f"echo {answer}")
    script.say("scontrol", "exit 1")
    script.say("sbatch", "echo 8")
    assert [script.run("exit 1") for _ in codes] == codes


def test_a_time_limit_that_leaves_no_time_to_save_is_not_tried_for_ever(script: Script) -> None:
    """Its jobs hand over to one another, each without a new checkpoint."""
    script.say("squeue", f"echo {TIMED_OUT}")
    script.say("sbatch", "echo 8")
    assert [script.run("kill -TERM $PPID; sleep 0.5; exit 143") for _ in range(2)] == [143, 10]
    assert script.decisions()[0] == "ended by Slurm (TimeLimit): handed over to job 8"
    assert script.decisions()[-1].endswith("times in a row without a new checkpoint: given up")


def test_a_new_checkpoint_begins_the_count_anew(script: Script) -> None:
    """Only restarts in a row count."""
    script.say("scontrol", "exit 1")
    script.say("sbatch", "echo 8")
    made = [script.jobs.parent / "checkpoints" / f"step-{step:08d}" for step in (1, 2, 3)]
    assert [script.run(f'mkdir -p "{path}"; exit 1') for path in made] == [1, 1, 1]
    assert [script.run("exit 1") for _ in range(2)] == [1, 10]


def test_a_signal_to_the_script_does_not_end_the_program(script: Script) -> None:
    """The program's own end and its own code are waited for."""
    assert script.run(f'kill -USR1 $PPID; kill -TERM $PPID; touch "{script.folder}/7.done"') == 0
    assert script.decisions() == ["done"]


def test_a_program_in_a_container_hears_what_slurm_says_outside(script: Script) -> None:
    """All that a command prints, its complaint and its exit code, word for word; and no file stays behind."""
    script.say("squeue", """printf '<%s>\\n' "$@"; echo 'as ever' >&2; exit 3""")
    words = ["--format=%i|%T", "two words", "it's", "$HOME", "", "*"]
    assert script.asked("squeue", *words) == [3, "".join(f"<{word}>\n" for word in words), "as ever\n"]
    assert not list(script.folder.glob("*questions*"))


@pytest.mark.parametrize(
    "command", [("scontrol", "requeue", "7"), ("scancel", "7"), ("bash", "-c", "echo show"), ("scontrol", "-o", "show")]
)
def test_a_program_in_a_container_changes_nothing_outside(script: Script, command: tuple[str, ...]) -> None:
    """Whoever may write in the run's folder could ask as well; only the owner decides about the owner's jobs."""
    for name in ("scontrol", "scancel"):
        script.say(name, 'touch "$0.used"')
    assert script.asked(*command) == [126, *[f"{' '.join(command)}: not asked\n"] * 2]
    assert not list(script.commands.glob("*.used"))


def test_whoever_asks_outside_does_not_wait_for_ever(script: Script) -> None:
    """squeue hangs where the controller does; the end of the program is not kept waiting either."""
    script.say("squeue", "exec /bin/sleep 30")
    assert script.asked("squeue", seconds=0.1) is None
    assert script.decisions() == ["done"]


def test_nobody_listens_outside_once_the_script_is_gone(tmp_path: Path) -> None:
    """That is said at once."""
    os.mkfifo(tmp_path / "bell")
    assert outside.run(tmp_path, ["squeue"], seconds=1000) is None
    assert [path.name for path in tmp_path.iterdir()] == ["bell"]


def test_an_old_answer_is_not_heard_on_another_node(script: Script) -> None:
    """When the job began, Slurm said of it what is not so any more when it is told to stop."""
    folder, command = script.jobs, ["squeue", "--jobs=7"]
    known = outside.kept_at(folder, command)
    known.write_text(json.dumps({"returncode": 0, "stdout": "RUNNING", "stderr": ""}), "utf-8")
    assert outside.overhear(folder, command, seconds=0) == outside.Answer(0, "RUNNING", "")
    os.utime(known, (known.stat().st_atime, known.stat().st_mtime - 10))
    assert outside.overhear(folder, command, seconds=0.3) is None
    assert {path.name for path in folder.iterdir()} == {known.name, "train-1"}


@pytest.mark.parametrize(("code", "pauses"), [(1, True), (6, True), (13, True), (137, True), (139, True), (75, False)])
def test_after_a_fault_the_next_start_is_put_off(
    script: Script, asked: Callable[[], list[str]], code: int, pauses: bool
) -> None:
    """In the queue, not in an allocation that sleeps; what was told to stop goes on as soon as it may."""
    script.run(f"exit {code}")
    assert asked() == (["update JobId=7 StartTime=now+60"] if pauses else [])
    assert script.decisions() == [f"ended with {code}: requeued"]


@pytest.mark.parametrize("code", [2, 3, 4, 5, 7, 8, 9, 10, 11, 12])
def test_an_error_that_would_come_again_is_the_end(script: Script, asked: Callable[[], list[str]], code: int) -> None:
    """Bad data, another identity, a loss that is no number, hours that are used up."""
    assert script.run(f"exit {code}") == code
    assert script.decisions() == [f"ended with {code}, which would come again: not requeued"]
    assert asked() == []


def test_starts_that_are_lost_again_and_again_come_to_an_end(script: Script, asked: Callable[[], list[str]]) -> None:
    """The budget counts them, and says so."""
    codes = []
    for restart in ("0", "1"):
        (script.folder / "7.here").write_text(f"7 {restart} n1 \n", "utf-8")
        codes.append(script.run("exit 75", SLURMD_NODENAME="n2"))
    assert codes[-1] == 10
    (task,) = read_lines(script.folder)
    assert "without a new checkpoint: given up" in (task.failure or "")


def test_memory_that_ran_out_is_named(script: Script, asked: Callable[[], list[str]]) -> None:
    """Slurm leaves its words in the log of the start; srun's exit code is 1 like any other's."""
    words = "slurmstepd-n1: error: Detected 1 oom-kill event(s) in StepId=7.0."
    script.run(f'echo "{words}" >> "{script.folder}/7_0_restart-0.log"; exit 1', SLURM_MEM_PER_NODE="100")
    assert script.decisions() == ["ended with 1 (out of memory, 100 MB asked for): requeued"]


def test_what_gives_up_says_how_often_and_why(script: Script, asked: Callable[[], list[str]]) -> None:
    """The program's own words for its last end are kept."""
    for _ in range(2):
        code = script.run(f'echo no memory for this > "{script.folder}/7.failed"; exit 13')
        asked()
    assert code == 10
    (task,) = read_lines(script.folder)
    assert task.failure == "ended with 13, 2 times in a row without a new checkpoint: given up (no memory for this)"
