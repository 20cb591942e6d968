#!/usr/bin/env bash
# tests/e2e/failpoint_sweep.sh BUILD FIRMWARE [PROGRAM]: C03, C08, S04, on the host's strongest containment, or on the one that
# BULKHEAD_TEST_CONTAINMENT names. Ends the daemon, then the agent, as kill -9 would, at every record of the ledger, every rung and
# every artifact that is removed, one after the other. Afterwards the next daemon must know the truth: never two VMs, a stop that proves itself, a start that works, and nothing left.
set -euo pipefail
build=$(cd "${1:?}" && pwd)
firmware=$(realpath "${2:?}")
programs=${3:-daemon agent}
bulkhead=$build/bin/bulkhead
[ -z "${BULKHEAD_TEST_CONTAINMENT:-}" ] || export BULKHEAD_CONTAINMENT=$BULKHEAD_TEST_CONTAINMENT
work=$(mktemp -d)
export XDG_RUNTIME_DIR=$work/r
mkdir -m 700 "$XDG_RUNTIME_DIR"
passed=0 failed=0 hit=0
trap 'for h in "$work"/home.*; do [ -d "$h" ] && BULKHEAD_HOME=$h "$bulkhead" host stop >/dev/null 2>&1; done; rm -rf "$work"' EXIT

holders() { # STRING: pids with it in their command line, other than those that look
  local file name
  for file in $(grep -lsF -- "$1" /proc/[0-9]*/cmdline); do
    read -r name 2>/dev/null <"${file%cmdline}comm" || continue
    [ "$name" = grep ] || tr -dc 0-9 <<<"$file" | grep .
  done || true
}
qemus() { local pid; for pid in $(holders "$1"); do grep -qs '^qemu' "/proc/$pid/comm" && echo "$pid"; done || true; }
state() { "$bulkhead" list --json | sed -n 's/^ *"state": "\([a-z]*\)".*/\1/p'; }

# check DESCRIPTION COMMAND...: counts, and says what failed.
check() {
  local what=$1; shift
  if "$@" >"$work/out" 2>&1; then passed=$((passed + 1)); else
    failed=$((failed + 1)); echo "not ok: $point: $what"; sed 's/^/    /' "$work/out"
  fi
}
at_most_one() { local n; n=$(qemus "$BULKHEAD_HOME" | wc -l); [ "$n" -le 1 ] || { echo "$n QEMUs"; return 1; }; }
none_left() {
  local pids; pids=$(holders "$BULKHEAD_HOME/vms")
  [ -z "$pids" ] || { echo "left: $pids"; cat /proc/${pids%%$'\n'*}/cmdline | tr '\0' ' '; return 1; }
  local run
  for run in $(sed -n 's/.*"run":"\([0-9a-f]*\)".*/\1/p' "$BULKHEAD_HOME/vms/vm/ledger.jsonl"); do
    ! grep -lsF "BULKHEAD_RUN=$run" /proc/[0-9]*/environ || { echo "left of run $run"; return 1; }
  done
  ! find "$XDG_RUNTIME_DIR" -mindepth 3 ! -name host.sock | grep . || return 1
}
stopped() { local s; s=$(state); [ "$s" = stopped ] || { echo "state $s"; "$bulkhead" info vm; return 1; }; }

# round POINT: 1 when the point was not reached.
round() {
  point=$1
  export BULKHEAD_HOME=$work/home.$RANDOM$RANDOM
  mkdir -m 700 "$BULKHEAD_HOME"
  cat >"$BULKHEAD_HOME/vm.json" <<JSON
{"name": "vm", "driver": "qemu", "memory": "64MiB", "boot": {"firmware": "$firmware"}, "options": {"accelerator": "tcg"}}
JSON
  BULKHEAD_FAILPOINT=$point BULKHEAD_FAILPOINT_MARK=$BULKHEAD_HOME/reached "$bulkhead" host start >/dev/null
  "$bulkhead" create "$BULKHEAD_HOME/vm.json" >/dev/null
  "$bulkhead" start vm >/dev/null 2>&1 || true
  check "never two VMs (start)" at_most_one
  "$bulkhead" stop --force vm >/dev/null 2>&1 || true
  check "never two VMs (stop)" at_most_one
  local reached=1
  [ -e "$BULKHEAD_HOME/reached" ] && reached=0
  # Without the failpoint from here on; a daemon that still runs has it in its environment.
  "$bulkhead" host stop --keep-vms >/dev/null
  check "list works" "$bulkhead" list
  check "stop --force proves" "$bulkhead" stop --force vm
  check "it is stopped" stopped
  check "nothing is left" none_left
  check "it starts again" "$bulkhead" start vm
  check "never two VMs (second start)" at_most_one
  check "it stops again" "$bulkhead" stop --force vm
  check "nothing is left (second stop)" none_left
  "$bulkhead" host stop >/dev/null
  [ "$failed" = 0 ] && rm -rf "$BULKHEAD_HOME"
  return $reached
}

for program in $programs; do
  names="ledger.before ledger.after"
  if [ "$program" = daemon ]; then names="$names rung.force rung.prove rung.clean clean"; else names="$names force"; fi
  for name in $names; do
    n=1
    while round "$program/$name/$n"; do hit=$((hit + 1)); n=$((n + 1)); [ $n -lt 40 ] || break; done
  done
done
echo "$hit crash points"
[ "$hit" -ge 10 ] || { echo "not ok: only $hit crash points were reached: are failpoints built in?"; failed=$((failed + 1)); }
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
