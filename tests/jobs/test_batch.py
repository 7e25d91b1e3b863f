"""What the batch script decides where Slurm's answers are late, lost or missing, which no cluster does on demand."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from jobs import outside
from jobs.queue.batch import Restarts, with_decisions
from jobs.queue.succession import read_lines

RUNNING = "RUNNING 0 N/A 2026-11-23T03:00:00 None"
IN_GRACE = "RUNNING 0 2026-11-23T01:00:00 2026-11-23T01:00:15 None"
CANCELLED = "COMPLETING 0 N/A 2026-11-23T01:00:00 None"
REQUEUED = "COMPLETING 1 N/A 2026-11-23T01:00:00 None"
TIMED_OUT = "COMPLETING 0 N/A 2026-11-23T01:00:00 TimeLimit"


@dataclass(frozen=True)
class Script:
    """A batch script of job 7, with commands of Slurm that say what the test wants."""

    jobs: Path
    commands: Path
    options: list[str] = field(default_factory=list)
    """What submitit writes at the top."""

    @property
    def folder(self) -> Path:
        return self.jobs / "train-1"

    def say(self, command: str, script: str) -> None:
        path = self.commands / command
        path.write_text(f"#!/bin/bash\n{script}\n", "utf-8")
        path.chmod(0o755)

    def run(self, program: str, start: str = "attended", most_idle: int = 1, **variables: str) -> int:
        parameters = with_decisions({"exclude": "old1"}, self.folder, Restarts(most_idle, 60.0, most_excluded=2))
        path = self.folder / "7_submission.sh"
        path.write_text(
            "\n".join([*self.options, *parameters["setup"], f"{start} bash -c {shlex.quote(program)}"]), "utf-8"
        )
        environment = {**os.environ, "PATH": f"{self.commands}:{os.environ['PATH']}", "SLURM_JOB_ID": "7"}
        environment |= {"SLURM_JOB_NAME": "name", **variables}
        return subprocess.run(["bash", str(path)], env=environment, timeout=60, check=False).returncode

    def asked(self, *command: str, seconds: float = 5) -> list[object] | None:
        """What a program in a container hears, as does one on another node; then it ends well."""
        heard = self.commands / "heard"
        code = (
            "import json, os; from concurrent.futures import ThreadPoolExecutor; from dataclasses import astuple\n"
            "from pathlib import Path; from jobs import outside\n"
            "assert 'WAVENET_QUESTIONS' in os.environ['EXPORTED'].split(',')\n"
            f"asked = Path(os.environ['WAVENET_QUESTIONS']), {command!r}, {seconds}\n"
            "with ThreadPoolExecutor() as pool:\n"
            "    elsewhere = pool.submit(outside.overhear, *asked)\n"
            "    answer = outside.run(*asked)\n"
            "    assert elsewhere.result() == answer\n"
            f"Path({str(heard)!r}).write_text(json.dumps(answer and astuple(answer)))"
        )
        done = shlex.quote(f"{self.folder}/7.done")
        # As for srun: gathered before the rest of the line is run.
        start = 'EXPORTED="$(compgen -e | paste -sd, -)" answering attended'
        assert self.run(f"touch {done}; exec {sys.executable} -c {shlex.quote(code)}", start) == 0
        answer: list[object] | None = json.loads(heard.read_text("utf-8"))
        return answer

    def decisions(self) -> list[str]:
        lines = (self.jobs / "decisions.log").read_text("utf-8").splitlines()
        return [line.split(": ", 1)[1] for line in lines]


@pytest.fixture
def script(tmp_path: Path) -> Script:
    """Its Slurm knows a job that runs, and takes whatever it is asked for."""
    script = Script(tmp_path / "the run's" / "jobs", tmp_path / "commands")
    script.folder.mkdir(parents=True)
    script.commands.mkdir()
    (script.folder / "7_submitted.pkl").touch()
    script.say("squeue", f"echo {RUNNING}")
    script.say("sleep", "true")
    for command in ("scontrol", "sbatch", "scancel"):
        script.say(command, f'echo "{command} was not to be used" >&2; exit 1')
    return script


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


@pytest.fixture
def asked(script: Script) -> Callable[[], list[str]]:
    """What scontrol was asked for, in a Slurm that puts the job back when it is; its partition has six nodes."""
    script.say("scontrol", 'echo "$@" >> "$0.asked"')
    put_back = f'if grep -qs requeue "$(dirname $0)/scontrol.asked"; then echo {REQUEUED}; else echo {RUNNING}; fi'
    script.say("squeue", put_back)
    script.say("sinfo", "seq -f n%g 1 6")
    log = script.commands / "scontrol.asked"

    def asked() -> list[str]:
        lines = log.read_text("utf-8").splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return [line for line in lines if line.startswith("update")]

    return asked


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


def test_a_host_with_two_faults_is_stayed_away_from(script: Script, asked: Callable[[], list[str]]) -> None:
    """Beside those of the profile, in every later start; one fault says nothing, nor do two with progress between."""
    made = script.jobs.parent / "checkpoints"
    for node, program in (("n1", "exit 1"), ("n2", "exit 1"), ("n1", f'mkdir -p "{made}/step-00000009"; exit 1')):
        script.run(program, most_idle=9, SLURMD_NODENAME=node)
        assert "ExcNodeList" not in asked()[0]
    script.run("exit 137", most_idle=9, SLURMD_NODENAME="n1")
    assert asked() == ["update JobId=7 StartTime=now+60 ExcNodeList=old1,n1"]
    script.run("exit 75", most_idle=9, SLURMD_NODENAME="n2")
    assert asked() == ["update JobId=7 ExcNodeList=old1,n1"]
    assert "the host n1 is stayed away from, after two faults without a new checkpoint" in script.decisions()


@pytest.mark.parametrize("bond", ["nodelist", "features"])
def test_a_host_that_the_job_cannot_do_without_is_used_again(
    script: Script, asked: Callable[[], list[str]], bond: str
) -> None:
    """Without it Slurm would let the job wait for ever; said once, with the first two faults."""
    if bond == "nodelist":
        script.options.append("#SBATCH --nodelist='n[1-2]'")
        script.say("scontrol", 'if [ "$2" = hostnames ]; then printf "n1\\nn2\\n"; else echo "$@" >> "$0.asked"; fi')
    else:
        words = "allocation failure: Requested node configuration is not available"
        script.say("sbatch", f'if [ "$1 $2" = "--test-only --exclude=old1,n1" ]; then echo "{words}" >&2; exit 1; fi')
    for _ in range(3):
        script.run("exit 1", most_idle=9, SLURMD_NODENAME="n1")
        assert asked() == ["update JobId=7 StartTime=now+60"]
    said = [line for line in script.decisions() if "n1" in line]
    assert said == ["the host n1 had two faults without a new checkpoint and is used again: the job may use no other"]


def test_a_full_disk_is_no_fault_of_the_host(script: Script, asked: Callable[[], list[str]]) -> None:
    """Another would meet it as well."""
    for _ in range(3):
        script.run("exit 6", most_idle=9, SLURMD_NODENAME="n1")
        assert "ExcNodeList" not in asked()[0]


@pytest.mark.parametrize(("num_nodes", "num_hosts"), [(6, 2), (3, 1), (2, 1), (1, 0)])
def test_hosts_stayed_away_from_are_few(
    script: Script, asked: Callable[[], list[str]], num_nodes: int, num_hosts: int
) -> None:
    """At most as many as the profile says, and half of the partition."""
    script.say("sinfo", f"seq -f n%g 1 {num_nodes}")
    for node in ("n1", "n1", "n2", "n2", "n3", "n3"):
        script.run("exit 1", most_idle=9, SLURMD_NODENAME=node)
        last = asked()[0]
    assert last.partition("ExcNodeList=old1")[2] == "".join(f",n{number + 1}" for number in range(num_hosts))


def test_a_successor_begins_later_and_elsewhere_as_well(script: Script) -> None:
    """Where the job itself may not be put back."""
    script.say("squeue", f"echo {RUNNING}")
    script.say("sinfo", "seq -f n%g 1 6")
    script.say("scontrol", "exit 1")
    script.say("sbatch", 'echo "$@" > "$0.asked"; echo 8')
    for _ in range(2):
        script.run("exit 137", most_idle=9, SLURMD_NODENAME="n1")
    said = (script.commands / "sbatch.asked").read_text("utf-8")
    assert "--begin=now+60" in said
    assert "--exclude=old1,n1" in said


def test_a_lost_start_is_a_fault_of_its_host(script: Script, asked: Callable[[], list[str]]) -> None:
    """Slurm puts such a job back by itself; started on that host again, it goes elsewhere before anything is done."""
    here = script.folder / "7.here"
    for restart in ("0", "1"):
        here.write_text(f"7 {restart} n1 \n", "utf-8")
        script.run(f'touch "{script.folder}/7.done"', most_idle=9, SLURMD_NODENAME="n2")
        (script.folder / "7.done").unlink()
    assert not here.exists()
    asked()
    assert script.run(f'touch "{script.jobs}/started"', most_idle=9, SLURMD_NODENAME="n1") == 75
    assert asked() == ["update JobId=7 ExcNodeList=old1,n1"]
    assert not (script.jobs / "started").exists()
    assert script.decisions()[-1] == "started on the host n1, which is to be stayed away from: requeued"


def test_of_several_nodes_the_one_that_the_program_names_is_at_fault(
    script: Script, asked: Callable[[], list[str]]
) -> None:
    """Where it names none, or a host that is none of them, nobody is."""
    script.say("scontrol", 'if [ "$2" = hostnames ]; then printf "n1\\nn2\\n"; else echo "$@" >> "$0.asked"; fi')
    history = script.jobs.parent / "history"
    history.mkdir()
    for named in ("", ', "host": "n9"', ', "host": "n2.cluster"', ', "host": "n2"'):
        row = f'{{"kind": "end", "cause": "hang"{named}}}'
        (history / "attempt-0001.jsonl").write_text(f"{row}\n", "utf-8")
        assert "ExcNodeList" not in "".join(asked())
        script.run("exit 1", most_idle=9, SLURM_JOB_NUM_NODES="2", SLURM_JOB_NODELIST="n[1-2]", SLURMD_NODENAME="n1")
    assert asked() == ["update JobId=7 StartTime=now+60 ExcNodeList=old1,n2"]


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
