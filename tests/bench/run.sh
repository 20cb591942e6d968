#!/usr/bin/env bash
# tests/bench/run.sh BUILD [ROUNDS]: bulkhead beside raw QEMU, in turn, in one run, with the firmware guest under TCG.
# Prints medians and ranges in milliseconds. Compare the columns of one run; absolute numbers are this machine's.
set -euo pipefail
build=$(cd "${1:?usage: tests/bench/run.sh BUILD [ROUNDS]}" && pwd)
rounds=${2:-20}
root=$(cd "$(dirname "$0")/../.." && pwd)
guest=$root/build/guest/firmware-obey.bin
work=$(mktemp -d)
export BULKHEAD_HOME=$work/home
bulkhead=$build/bin/bulkhead
qemu_pid=
trap 'kill -9 ${qemu_pid:-} 2>/dev/null || true; "$bulkhead" host stop >/dev/null 2>&1 || true; rm -rf "$work"' EXIT

now() { local t=$EPOCHREALTIME; echo "${t/./}"; } # microseconds
ready_in() { # FILE: waits for the guest's READY line
  local end=$((SECONDS + 30))
  until grep -qs '^READY' "$1"; do [ $SECONDS -lt $end ] || { echo "bench: no READY in $1" >&2; exit 1; }; sleep 0.002; done
}
note() { echo $(($3 - $2)) >>"$work/$1"; }

raw_round() {
  local log=$work/console.log t0 t1
  : >"$log"
  t0=$(now)
  qemu-system-x86_64 -nodefaults -no-user-config -display none -M q35,accel=tcg -m 64 -bios "$guest" -serial "file:$log" &
  qemu_pid=$!
  ready_in "$log"
  t1=$(now); note raw.start "$t0" "$t1"
  t0=$(now)
  kill -9 $qemu_pid; wait $qemu_pid 2>/dev/null || true
  t1=$(now); note raw.stop "$t0" "$t1"
  qemu_pid=
}

bulkhead_round() {
  local log=$BULKHEAD_HOME/vms/bench/console.log t0 t1
  rm -f "$log"
  t0=$(now)
  "$bulkhead" start bench >/dev/null
  ready_in "$log"
  t1=$(now); note bulkhead.start "$t0" "$t1"
  t0=$(now)
  "$bulkhead" stop --force bench >/dev/null
  t1=$(now); note bulkhead.stop "$t0" "$t1"
}

row() { # LABEL FILE
  sort -n "$work/$2" | awk -v label="$1" '{v[NR]=$1/1000} END {printf "%-34s %8.1f   (%.1f to %.1f, n=%d)\n", label, v[int((NR+1)/2)], v[1], v[NR], NR}'
}

mkdir -p "$work"
cat >"$work/bench.json" <<JSON
{"name": "bench", "driver": "qemu", "memory": "64MiB", "boot": {"firmware": "$guest"}, "options": {"accelerator": "tcg"}}
JSON
"$bulkhead" create "$work/bench.json" >/dev/null
for ((i = 0; i < rounds; i++)); do raw_round; bulkhead_round; done
printf '%-34s %8s\n' "" "median ms"
row "raw QEMU: spawn to READY" raw.start
row "bulkhead start to READY" bulkhead.start
row "raw QEMU: SIGKILL to reaped" raw.stop
row "bulkhead stop --force, with proof" bulkhead.stop
