#!/usr/bin/env bash
# tests/support/faults.sh USER BACKEND BUILD COMMAND... -- PART...: runs a test command with every host on this containment backend
# (cgroup, pid-namespace, process-group), as `root` or as a `user` without privileges. Each PART is the last argument of a command
# of its own, all at the same time; `each:PATTERN` stands for each of the Catch2 cases of that name. What was run and skipped is told
# at the end, and kept in BUILD/faults. 77: nothing could be run; with BULKHEAD_FAULTS_REQUIRED set, that is a failure.
set -euo pipefail
here=$(dirname "$(realpath "$0")")
skip() { echo "SKIPPED: $*"; exit 77; }

# As that user: a host that cannot have the backend, or silently has another one, would test nothing.
inside() { # BACKEND BUILD COMMAND... -- PART...
  local backend=$1 build=$2 folder status command=() parts=() names=() code=0 i
  shift 2
  folder=$(mktemp -d)
  trap "rm -rf '$folder'" EXIT
  status=$(export XDG_RUNTIME_DIR=$folder BULKHEAD_HOME=$folder/h BULKHEAD_CONTAINMENT=$backend
    "$build/bin/bulkhead" host start 2>&1 && "$build/bin/bulkhead" host status && "$build/bin/bulkhead" host stop) ||
    skip "no host can have the containment '$backend': $status"
  grep -q "^containment  *$backend" <<<"$status" || skip "a host that is to have '$backend' says: $status"
  while [ "$1" != -- ]; do command+=("$1"); shift; done
  for part in "${@:2}"; do
    if [[ $part != each:* ]]; then parts+=("$part"); continue; fi
    mapfile -t names < <("${command[0]}" --list-test-names-only "${part#each:}")
    parts+=("${names[@]//,/\\,}")
  done
  export BULKHEAD_TEST_CONTAINMENT=$backend
  for i in "${!parts[@]}"; do
    { "${command[@]}" "${parts[$i]}" >"$folder/$i" 2>&1; echo $? >"$folder/$i.code"; } || true &
  done
  wait
  for i in "${!parts[@]}"; do
    cat "$folder/$i"
    case $(cat "$folder/$i.code") in 0) ;; 4) [ $code != 0 ] || code=4 ;; *) code=1 ;; esac
  done
  exit $code
}
[ "$1" != inside ] || inside "${@:2}"

user=$1 backend=$2 build=$3; shift 3
name=$user.$backend.$(basename "$1" .sh)
mkdir -p "$build/faults"
log=$build/faults/$name.log
as=()
export BULKHEAD_TEST_CHILD=$build/test-bin/test_child
[ "$user" != user ] || as=("$here/as_user.sh")

code=0
if [ "$user" = root ] && [ "$(id -u)" != 0 ]; then (skip "it is for root, and this is uid $(id -u)") >"$log" || code=$?; else
  "${as[@]}" "$here/faults.sh" inside "$backend" "$build" "$@" >"$log" 2>&1 || code=$?
fi
cat "$log"
# Catch2: "(9 assertions in 2 test cases)", "test cases: 2 | ..."; the scripts: "2 passed, 0 failed".
run=$(sed -nE 's/.*assertions? in ([0-9]+) test cases?.*/\1/p; s/^test cases: +([0-9]+) .*/\1/p; s/^([0-9]+) passed, .*/\1/p' "$log" |
  awk '{ sum += $1 } END { print sum + 0 }')
skips=$(grep '^SKIPPED: ' "$log" | sort -u) || true
skipped=$(grep -c . <<<"$skips") || true
[ $code = 77 ] || run=$((run - skipped))
case $code in
  0 | 4) [ "$run" -gt 0 ] && { code=0; word=ok; } || { code=77; word=skipped; } ;;
  77) word=skipped ;;
  *) word=FAILED ;;
esac
[ $code != 77 ] || [ -z "${BULKHEAD_FAULTS_REQUIRED:-}" ] || { code=1; word=FAILED; }
measured=$(grep '^TREES ' "$log") || true
printf '%-40s %-7s %3s run, %2s skipped, %3s s\n%s\n%s\n' "$name" "$word" "$run" "$skipped" "$SECONDS" "$skips" "$measured" | sed '/^$/d' |
  tee "$build/faults/$name"
exit $code
