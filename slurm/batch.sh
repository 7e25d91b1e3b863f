# What surrounds the program in a batch script: whether the job goes back into the queue is decided here, outside
# Python and outside any container. The lines above set `folder` (of this submission, in the run's jobs/) and
# `most_idle` (restarts in a row without a new checkpoint).

jobs=$(dirname "$folder")
stop=$jobs/stopped
restart=${SLURM_RESTART_COUNT:-0}
id=$SLURM_JOB_ID
if [ -n "${SLURM_ARRAY_TASK_ID:-}" ]; then id=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID; fi
export WAVENET_DONE=$folder/$id.done
idle_file=$folder/$id.idle

note() {
  echo "$(date -u +%Y-%m-%dT%H:%M:%SZ) job $id restart $restart on $(hostname): $1" >> "$jobs/decisions.log"
}

progress() {  # the newest committed checkpoint; nothing for a stage that has none
  ls "$jobs/../checkpoints" 2> /dev/null | grep -E '^step-[0-9]+$' | sort | tail -n 1
}

state() {
  for _ in 1 2 3; do
    if squeue --noheader --jobs="$SLURM_JOB_ID" --format=%T 2> /dev/null; then return; fi
    sleep 1
  done
}

may_go_on() {  # whether another start may end differently; 0 without our mark is srun's word for a lost node
  case $1 in
    0 | 1 | 75) true ;;
    *) [ "$1" -ge 126 ] ;;
  esac
}

hand_over() {  # to a new job with the same pickle, where this one may not be requeued
  if [ -n "${SLURM_ARRAY_TASK_ID:-}" ]; then return 1; fi
  next=$(sbatch --parsable --dependency="afterany:$id" "$folder/${id}_submission.sh") || return 1
  next=${next%%;*}
  cp "$folder/${id}_submission.sh" "$folder/${next}_submission.sh"
  cp "$idle_file" "$folder/$next.idle"
  ln "$folder/${id}_submitted.pkl" "$folder/${next}_submitted.pkl"
  while read -r job rest; do
    if [ "$job" = "$id" ]; then echo "$next $rest"; fi
  done < "$jobs/submitted" > "$folder/$next.line"
  cat "$folder/$next.line" >> "$jobs/submitted"
  # Whoever cancelled meanwhile did not see the new job.
  if [ -e "$stop" ]; then scancel "$next"; fi
}

decide() {
  code=$1
  if [ -e "$WAVENET_DONE" ]; then note "done"; exit 0; fi
  if ! may_go_on "$code"; then note "ended with $code, which would come again: not requeued"; exit "$code"; fi
  if [ -e "$stop" ]; then note "ended with $code, stopped by the user: not requeued"; exit "$code"; fi
  # Once it is COMPLETING, Slurm has decided; after scancel, a requeue would bring it back from the dead.
  now=$(state)
  if [ "$now" != RUNNING ]; then note "ended with $code while ${now:-unknown to Slurm}: left to Slurm"; exit "$code"; fi
  idle=$(($(cat "$idle_file" 2> /dev/null || echo 0) + 1))
  if [ "$(progress)" != "$before" ]; then idle=0; fi
  echo "$idle" > "$idle_file"
  if [ "$idle" -gt "$most_idle" ]; then
    note "ended with $code, $idle times in a row without a new checkpoint: given up"
    exit 10
  fi
  if refusal=$(scontrol requeue "$SLURM_JOB_ID" 2>&1) || [ "$(state)" != RUNNING ]; then
    note "ended with $code: requeued"
  elif hand_over; then
    note "ended with $code: requeue refused ($refusal), handed over to job $next"
  else
    note "ended with $code: requeue refused ($refusal)"
  fi
  exit "$code"
}

if [ -e "$stop" ]; then note "stopped by the user: not started"; exit 0; fi
if [ -e "$WAVENET_DONE" ]; then exit 0; fi
before=$(progress)
# Signals are the tasks' business; Slurm sends them there. Without `:` the trap on EXIT would fire at the signal, while
# srun still runs; ignored ('') they would be ignored by Python as well.
trap : TERM USR1 USR2
trap 'decide $?' EXIT
