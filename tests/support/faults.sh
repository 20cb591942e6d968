#!/usr/bin/env bash
# tests/support/faults.sh USER BACKEND BUILD COMMAND...: runs a test command with every host on this containment backend (cgroup,
# pid-namespace, process-group), as `root` or as a `user` without privileges. What was run and skipped is told at the end, and kept
# in BUILD/faults. 77: nothing could be run; with BULKHEAD_FAULTS_REQUIRED set, that is a failure.
set -euo pipefail
here=$(dirname "$(realpath "$0")")
skip() { echo "SKIPPED: $*"; exit 77; }

# As that user: a host that cannot have the backend, or silently has another one, would test nothing.
inside() { # BACKEND BUILD COMMAND...
  local backend=$1 build=$2 home status
  home=$(mktemp -d)
  trap 'rm -rf "$home"' EXIT
  export XDG_RUNTIME_DIR=$home BULKHEAD_HOME=$home/h BULKHEAD_CONTAINMENT=$backend
  status=$("$build/bin/bulkhead" host start 2>&1) || skip "no host can have the containment '$backend': $status"
  status=$("$build/bin/bulkhead" host status)
  "$build/bin/bulkhead" host stop >/dev/null
  grep -q "containment  *$backend" <<<"$status" || skip "a host that is to have '$backend' says: $status"
  unset XDG_RUNTIME_DIR BULKHEAD_HOME BULKHEAD_CONTAINMENT
  rm -rf "$home"
  export BULKHEAD_TEST_CONTAINMENT=$backend
  exec "${@:3}"
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
run=$(sed -nE 's/.*assertions? in ([0-9]+) test cases?.*/\1/p; s/^test cases: +([0-9]+) .*/\1/p; s/^([0-9]+) passed, .*/\1/p' "$log" | tail -1)
skipped=$(grep -c '^SKIPPED: ' "$log") || true
run=$((${run:-0} - (code == 4 ? skipped : 0)))
case $code in
  0 | 4) [ "$run" -gt 0 ] && { code=0; word=ok; } || { code=77; word=skipped; } ;;
  77) word=skipped ;;
  *) word=FAILED ;;
esac
[ $code != 77 ] || [ -z "${BULKHEAD_FAULTS_REQUIRED:-}" ] || { code=1; word=FAILED; }
{
  printf '%-40s %s: %s run, %s skipped, %s s\n' "$name" "$word" "$run" "$skipped" "$SECONDS"
  grep '^SKIPPED: ' "$log" || true
} | tee "$build/faults/$name"
exit $code
