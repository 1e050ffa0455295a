# What scripts of recipes share: this project's programs, and tasks side by side. For `source`.
#
# Trainings use a core each: as many tasks run at once as there are cores, or SENSORIUM_JOBS. Their lines have
# the task's name before them. SENSORIUM_TRAIN and SENSORIUM name programs that are built already.
recipes_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
slots=${SENSORIUM_JOBS:-$(nproc)}

# program BUILT PACKAGE ARGUMENT...: a program that is built already, or of a package here
program() {
  local built=$1 package=$2
  shift 2
  if [[ -n $built ]]; then
    "$built" "$@"
  else
    cargo run --release -q --manifest-path "$recipes_dir/../../Cargo.toml" -p "$package" -- "$@"
  fi
}
# train ARGUMENT...: sensorium-train
train() { program "${SENSORIUM_TRAIN:-}" sensorium-train "$@"; }
# runtime ARGUMENT...: sensorium
runtime() { program "${SENSORIUM:-}" sensorium "$@"; }

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
