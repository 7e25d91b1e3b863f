# What surrounds the program in a batch script: whether the job goes on is decided here, outside Python and outside any
# container. The lines above set `our_folder` (of this submission, in the jobs/ of a run or data folder),
# `our_most_idle` (restarts in a row without a new checkpoint), `our_pause` (seconds from a fault to the next start),
# `our_most_excluded` (hosts that are stayed away from after two faults each), `our_exclude` (those that the profile stays
# away from) and `our_command` (what its user types to start again).
#
# Where a job may not go back into the queue it hands over to a successor: a new job with the same script, which gets
# the id of the first of their line as its argument. By that id the files of a line are named:
#   FIRST.done        all is done
#   FIRST.failed      why nobody tries again
#   FIRST.idle        restarts in a row without a new checkpoint
#   FIRST.here        job, restart, host and newest checkpoint of a start, as long as nobody has seen its end
#   FIRST.faults      newest checkpoint and host of each fault
#   FIRST.excluded    hosts with two faults and no new checkpoint between them
#   FIRST.after       jobs of the stage before that have to be over first, as the program has found
#   FIRST.successors  ids of the jobs that it was handed over to
#   FIRST.questions   folder in which the program asks from its container, as long as it runs

our_jobs=$(dirname "$our_folder")
our_restart=${SLURM_RESTART_COUNT:-0}
our_element=${SLURM_ARRAY_TASK_ID:+_$SLURM_ARRAY_TASK_ID}
# The plain id of an array's last element is that of the whole array.
our_id=${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}$our_element
our_first=${1:-$our_id}
our_line=$our_folder/$our_first
our_next=
our_is_over=
our_is_counted=  # this start, among those without a new checkpoint
our_patience='1 1 5 10 20 40 60 60 60 60 60 60'  # seconds; a controller that is started again is away for minutes
our_wait=0
our_node=${SLURMD_NODENAME:-$(hostname -s)}
# Known by name from the beginning: the names of what reaches a container are gathered before `answering` begins.
export WAVENET_DONE=$our_line.done WAVENET_QUESTIONS=

note() {
  echo "$(date -u +%Y-%m-%dT%H:%M:%SZ) job $our_id restart $our_restart on $(hostname): $1" >> "$our_jobs/decisions.log"
}

give_up() {  # for the reason $1; the program's own words, where it has left some, say more
  note "$1"
  if [ ! -e "$our_line.failed" ]; then echo "$1" > "$our_line.failed"; fi
}

is_done() { [ -e "$WAVENET_DONE" ]; }

is_stopped() { [ -e "$our_jobs/stopped" ]; }

newest() {  # committed checkpoint; nothing for a stage that has none
  ls "$our_jobs/../checkpoints" 2> /dev/null | grep -E '^step-[0-9]+$' | sort | tail -n 1
}

ask() {  # Slurm about this job, again after each pause of $*; empty where it gives no answer
  local fields=State:30,RestartCnt:12,PreemptTime:30,EndTime:30,Reason:60 answer
  for pause in "$@" 0; do
    answer=$(squeue --noheader --states=all --jobs="$our_id" --Format="$fields" 2> /dev/null) && break
    if [ $? -ge 126 ]; then break; fi  # there is no squeue here
    sleep "$pause"
  done
  read -r our_state our_restarts our_preempted our_end our_reason <<< "$answer"
  # For the moment in which its nodes have not yet answered that they passed a signal on.
  if [ "$our_state" = SIGNALING ]; then our_state=RUNNING; fi
}

was_put_back() { [ "${our_restarts:-0}" -gt "$our_restart" ]; }

was_preempted() { [ "${our_preempted:-N/A}" != N/A ]; }

was_ended_by_slurm() {  # for good, and not by somebody's scancel, from which nothing comes back
  case $our_reason in TimeLimit | NodeDown) return 0 ;; esac
  # A job without grace time, or at the end of it, is preempted at the instant of its end; one that is cancelled in its
  # grace time was preempted before.
  was_preempted && [ $(($(date -d "$our_end" +%s) - $(date -d "$our_preempted" +%s))) -le 1 ]
}

why() { if was_preempted; then echo preemption; else echo "$our_reason"; fi; }

may_go_on() {  # whether another start may end differently; 0 without our mark is srun's word for a lost node
  case $1 in
    0 | 1 | 6 | 13 | 75) true ;;  # 6: there may be room again, 13: and memory
    *) [ "$1" -ge 126 ] ;;
  esac
}

in_words() {  # how the program ended, with $1
  local log="$our_folder/$our_id" asked=${SLURM_MEM_PER_NODE:+, $SLURM_MEM_PER_NODE MB asked for}
  if cat "$log"_*"_restart-$our_restart.log" 2> /dev/null | grep -q 'oom.kill event'; then
    echo "ended with $1 (out of memory$asked)"
  else
    echo "ended with $1"
  fi
}

excluded() {  # hosts to stay away from, $1 if given, and those of the profile as well
  local hosts
  hosts=$({ cat "$our_line.excluded" 2> /dev/null; echo "${1:-}"; } | grep . | paste -s -d ,)
  echo "${hosts:+${our_exclude:+$our_exclude,}$hosts}"
}

from_outside() {  # runs $@ without this job's own variables, which would be another's as well
  (
    # shellcheck disable=SC2046  several words
    unset $(compgen -e | grep -E '^(SLURM|WAVENET)_' | grep -vE '^SLURM_(CONF|CLUSTERS|JWT)$')
    "$@"
  )
}

may_exclude() {  # one host more: at least half of the partition is left, and enough for this job
  local num nodes
  num=$(($(cat "$our_line.excluded" 2> /dev/null | wc -l) + 1))
  nodes=$(sinfo --noheader --Node --partition="$SLURM_JOB_PARTITION" --format=%N 2> /dev/null | sort -u | wc -l)
  [ "$num" -le "$our_most_excluded" ] && [ $((2 * num)) -le "$nodes" ] &&
    [ $((nodes - num)) -ge "${SLURM_JOB_NUM_NODES:-1}" ]
}

can_do_without() {  # the host $1; or the job, which is bound to it, would wait for ever
  local script="$our_folder/${our_first%%_*}_submission.sh" hosts
  hosts=$(sed -n 's/^#SBATCH --nodelist=//p' "$script" | tr -d "'")
  if [ -n "$hosts" ] && scontrol show hostnames "$hosts" 2> /dev/null | grep -qxF "$1"; then return 1; fi
  # Features and generic resources bind a job as well. Where sbatch does not work its complaint is another.
  ! from_outside sbatch --test-only --exclude="$(excluded "$1")" "$script" 2>&1 |
    grep -q 'Requested node configuration is not available'
}

at_fault() {  # the host of a fault that this script has seen; of several, the one that the program has named, if it has
  local host hosts
  if [ "${SLURM_JOB_NUM_NODES:-1}" -eq 1 ]; then echo "$our_node"; return; fi
  host=$(cat "$our_jobs/../history/$(ls "$our_jobs/../history" 2> /dev/null | grep jsonl | tail -n 1)" 2> /dev/null |
    tail -n 1 | sed -n 's/.*"kind": "end".*"host": "\([^".]*\).*/\1/p')
  hosts=$(scontrol show hostnames "$SLURM_JOB_NODELIST" 2> /dev/null)
  if grep -qxF "${host:-$our_node}" <<< "$hosts" && [ -n "$host" ]; then echo "$host"; fi
}

count_fault() {  # of the host $1: a second one without a new checkpoint excludes it
  local fault num
  fault="$(newest) $1"
  if [ -z "$1" ] || grep -qxF "$1" "$our_line.excluded" 2> /dev/null; then return; fi
  echo "$fault" >> "$our_line.faults"
  num=$(grep -cxF "$fault" "$our_line.faults")
  if [ "$num" -lt 2 ] || ! may_exclude; then return; fi
  if can_do_without "$1"; then
    echo "$1" >> "$our_line.excluded"
    note "the host $1 is stayed away from, after two faults without a new checkpoint"
  elif [ "$num" -eq 2 ]; then
    note "the host $1 had two faults without a new checkpoint and is used again: the job may use no other"
  fi
}

forget_here() {  # its end is seen by this script
  if [ "$(cat "$our_line.here" 2> /dev/null)" = "$our_here" ]; then rm -f "$our_line.here"; fi
}

submit_successor() {  # that waits for $1; prints its id, or why there is none
  local mark="wavenet: after $our_id, restart $our_restart" said
  local command=(sbatch --parsable --dependency="afterany:$1" --comment="$mark" --chdir="${SLURM_SUBMIT_DIR:-$PWD}")
  if [ -n "$our_element" ]; then command+=(--array="${our_element#_}"); fi
  if [ "$our_wait" -gt 0 ]; then command+=(--begin="now+$our_wait"); fi
  if [ -n "$(excluded)" ]; then command+=(--exclude="$(excluded)"); fi
  command+=("$our_folder/${our_first%%_*}_submission.sh" "$our_first")
  for pause in 1 5 0; do
    if said=$(from_outside "${command[@]}" 2>&1); then echo "${said%%;*}"; return 0; fi
    sleep "$pause"
    # One that was taken while its answer was lost is not submitted again.
    squeue --noheader --user="$(id -u)" --states=all --format='%F|%k' 2> /dev/null |
      awk -F '|' -v mark="$mark" '$2 == mark { print $1; found = 1; exit } END { exit !found }' && return 0
  done
  echo "${said:-sbatch does not work here}"
  return 1
}

hand_over() {  # for the reason $2 to a successor that waits for $1
  if our_next=$(submit_successor "$1"); then
    echo "$our_next$our_element" >> "$our_line.successors"
    echo "$our_next $SLURM_JOB_NAME" >> "$our_jobs/submitted"
    note "$2: handed over to job $our_next"
    # Whoever cancelled meanwhile did not see the new job.
    if is_stopped; then scancel "$our_next"; fi
  else
    give_up "$2, and no job can be submitted from here ($our_next): not requeued; go on with $our_command"
    our_next=
  fi
}

told() {  # to end, while the program may still be saving: later there may be no time
  trap : TERM
  forget_here
  if [ -z "$our_next" ] && ! is_done && ! is_stopped; then
    ask 1 1
    if ! was_put_back && was_ended_by_slurm; then
      if is_idle; then give_up_idle "ended by Slurm ($(why))"; else hand_over "$our_id" "ended by Slurm ($(why))"; fi
    fi
  fi
  trap told TERM
}

attended() {  # the program, with this shell free to act on a signal; that ends `wait`, not the program
  set +eu  # the setup lines may have set them
  "$@" &
  local program=$!
  while wait "$program"; kill -0 "$program" 2> /dev/null; do :; done
  wait "$program"
}

may_be_asked() {  # what changes nothing: a whole group may write in a run's folder
  case $1 in
    squeue | sinfo) true ;;
    scontrol) [ "$2" = show ] || [ "$2 $3" = "--oneliner show" ] ;;
    *) false ;;
  esac
}

answer() {  # the questions in the folder $1, each when its name comes through the bell; an empty name is the end
  local name words code
  trap '' TERM USR1 USR2
  while read -r name && [[ $name =~ ^[0-9a-f]+$ ]]; do
    name=$1/$name
    mapfile -t words 2> /dev/null < "$name" || continue
    if may_be_asked "${words[@]}"; then
      "${words[@]}" > "$name.out" 2> "$name.err" < /dev/null
      code=$?
    else
      code=126
      echo "${words[*]}: not asked" | tee "$name.err" > "$name.out"
    fi
    echo "$code" > "$name.part" && mv "$name.part" "$name.code"
  done <> "$1/bell"
}

answering() {  # runs $@, a program in a container; what it asks of Slurm, whose commands are outside, is answered here
  local questions=$our_line.questions code
  set +eu
  rm -rf "$questions"  # of a start that was killed
  if mkdir "$questions" && mkfifo "$questions/bell"; then
    export WAVENET_QUESTIONS=$questions
    answer "$questions" &
  else
    note "in $our_folder no pipe can be made, by which the program could ask Slurm from its container"
  fi
  "$@"
  code=$?
  if [ -p "$questions/bell" ]; then echo 1<> "$questions/bell"; fi
  rm -rf "$questions"
  return "$code"
}

is_idle() {  # too often in a row restarted without a new checkpoint; a preemption is no fault of the program's
  our_idle=$(cat "$our_line.idle" 2> /dev/null || echo 0)
  if [ "$(newest)" != "$our_newest" ]; then our_idle=0; elif ! was_preempted; then our_idle=$((our_idle + 1)); fi
  echo "$our_idle" > "$our_line.idle"
  [ "$our_idle" -gt "$our_most_idle" ]
}

give_up_idle() {
  local said
  said=$(tr '\n' ' ' 2> /dev/null < "$our_line.failed")
  rm -f "$our_line.failed"
  give_up "$1, $our_idle times in a row without a new checkpoint: given up${said:+ (${said% })}"
  our_is_over=yes
}

arrange() {  # when and where a job that was put back starts again
  local wanted=() said
  if [ "$our_wait" -gt 0 ]; then wanted+=("StartTime=now+$our_wait"); fi
  if [ -n "$(excluded)" ]; then wanted+=("ExcNodeList=$(excluded)"); fi
  if [ ${#wanted[@]} -gt 0 ] && ! said=$(scontrol update JobId="$our_id" "${wanted[@]}" 2>&1); then
    note "${wanted[*]} was refused ($said)"
  fi
}

go_on() {  # for the reason $1: back into the queue, or to a successor
  local refusal
  # Incomplete: one that was cancelled this instant would come back from the dead.
  refusal=$(scontrol requeue Incomplete "$our_id" 2>&1)
  ask $our_patience
  if was_put_back; then
    arrange
    note "$1: requeued"
  elif [ "$our_state" = RUNNING ]; then
    hand_over "$our_id" "$1, requeue refused (${refusal:-scontrol does not work here})"
  elif [ -z "$our_state" ]; then
    note "$1: requeue asked for${refusal:+ ($refusal)}; squeue does not say what became of it"
  else
    give_up "$1, cancelled at the same time: not requeued"
  fi
}

decide() {
  local code=$1 ended
  set +eu
  trap : TERM USR1 USR2
  forget_here
  ended=$(in_words "$code")
  if is_done; then note "done"; exit 0; fi
  if [ -n "$our_is_over" ]; then exit 10; fi
  if [ -n "$our_next" ]; then  # handed over while the program was still saving
    if [ "$(newest)" != "$our_newest" ]; then echo 0 > "$our_line.idle"; fi
    exit "$code"
  fi
  if is_stopped; then give_up "$ended, stopped by the user: not requeued"; exit "$code"; fi
  if ! may_go_on "$code"; then give_up "$ended, which would come again: not requeued"; exit "$code"; fi
  ask $our_patience
  if [ -z "$our_state" ]; then
    give_up "$ended, and squeue does not say whether it was cancelled: not requeued; go on with $our_command"
  elif was_put_back; then
    note "$ended: requeued by Slurm"
  elif [ "$our_state" = RUNNING ] && [ -e "$our_line.after" ]; then
    hand_over "$(cat "$our_line.after")" "the stage before is not over"
  elif [ "$our_state" != RUNNING ] && ! was_ended_by_slurm; then  # by somebody, then
    give_up "$ended, cancelled: not requeued"
  elif is_idle; then
    give_up_idle "$ended"
    exit 10
  elif [ "$our_state" = RUNNING ]; then
    if [ "$code" -ne 75 ] && ! was_preempted; then our_wait=$our_pause; fi
    if [ "$our_wait" -gt 0 ] && [ "$code" -ne 6 ]; then count_fault "$(at_fault)"; fi
    go_on "$ended"
  else
    hand_over "$our_id" "$ended, by Slurm's will ($(why))"
  fi
  exit "$code"
}

see_lost() {  # a start whose end nobody has seen: its host was lost, and Slurm has put the job back
  local id restart host before now=$our_newest
  read -r id restart host before < "$our_line.here"
  rm -f "$our_line.here"
  note "the start before, job $id restart $restart on $host, was lost"
  count_fault "$host"
  our_newest=$before
  if is_idle; then give_up_idle "lost with its host"; exit 10; fi
  our_is_counted=yes
  our_newest=$now
}

keep_away() {  # from hosts that Slurm, which starts a lost job again by itself, knows nothing about
  local host
  export WAVENET_EXCLUDED
  WAVENET_EXCLUDED=$(paste -s -d , "$our_line.excluded")
  for host in "$our_node" $(scontrol show hostnames "$SLURM_JOB_NODELIST" 2> /dev/null); do
    if grep -qxF "$host" "$our_line.excluded"; then
      ask 1 1
      if [ -z "$our_is_counted" ] && is_idle; then give_up_idle "started on the host $host, which is to be stayed away from"; exit 10; fi
      go_on "started on the host $host, which is to be stayed away from"
      exit 75
    fi
  done
}

# A script that puts its own job back is told to end at once, and has yet to say where the job may go.
trap : TERM USR1 USR2
if is_stopped; then give_up "stopped by the user: not started"; exit 0; fi
if is_done; then exit 0; fi
rm -f "$our_line.failed" "$our_line.after"
if [ "$our_id" != "$our_first" ]; then
  ln -sf "${our_first}_submitted.pkl" "$our_folder/${our_id}_submitted.pkl"
fi
our_newest=$(newest)
our_here="$our_id $our_restart $our_node $our_newest"
if [ -e "$our_line.here" ]; then see_lost; fi
if [ -n "$(excluded)" ]; then keep_away; fi
echo "$our_here" > "$our_line.here"
# Signals are the tasks' business; Slurm sends them there. Without a trap of their own the one on EXIT would fire at the
# signal, while srun still runs; ignored ('') they would be ignored by Python as well.
trap told TERM
trap 'decide $?' EXIT
