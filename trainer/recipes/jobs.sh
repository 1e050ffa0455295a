# What scripts of recipes share: the trainer, and tasks side by side. For `source`.
#
# Trainings use a core each: as many tasks run at once as there are cores, or SENSORIUM_JOBS. Their lines have
# the task's name before them. SENSORIUM_TRAIN names a trainer that is built already.
recipes_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
slots=${SENSORIUM_JOBS:-$(nproc)}

# train ARGUMENT...: sensorium-train
train() {
  if [[ -n ${SENSORIUM_TRAIN:-} ]]; then
    "$SENSORIUM_TRAIN" "$@"
  else
    cargo run --release -q --manifest-path "$recipes_dir/../../Cargo.toml" -p sensorium-train -- "$@"
  fi
}

# together NAME COMMAND...: a task, as soon as there is room
together() {
  local name=$1
  shift
  while (($(jobs -rp | wc -l) >= slots)); do wait -n; done
  "$@" > >(trap '' INT TERM; exec sed -u "s/^/$name: /") 2>&1 &
}

# all_done: waits for all tasks, and stops if one failed
all_done() {
  while (($(jobs -p | wc -l))); do wait -n; done
}

# Stopped, tasks save what they have; a terminal tells them itself.
stop() {
  local task
  for task in $(jobs -rp); do pkill -INT -P "$task" || true; done
  wait
}
trap stop EXIT
trap 'exit 143' TERM
trap 'trap - EXIT; wait; exit 130' INT
