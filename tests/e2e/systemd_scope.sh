#!/usr/bin/env bash
# systemd_scope.sh PROGRAMS GUESTS, run by user_systemd.sh
# An unprivileged user with a systemd user manager gets cgroups: in a scope that bulkheadd asks for when it is started from
# a terminal, and in a unit with Delegate=yes.
set -euo pipefail
fail() { echo "FAILED: $*"; tail -n 20 "$HOME"/home/bulkheadd.log 2>/dev/null; exit 1; }
PATH=$1:$PATH
cat >"$HOME/vm.json" <<JSON
{"name": "a", "driver": "qemu", "memory": "16MiB", "boot": {"firmware": "$2/firmware-obey.bin"}, "options": {"accelerator": "tcg"}}
JSON
until [ -S "$XDG_RUNTIME_DIR/systemd/private" ]; do sleep 0.1; done
cgroup_of() { sed -n 's/^0:://p' "/proc/$1/cgroup"; }
field() { sed -n "s/^ *\"$1\": \"\\{0,1\\}\\([^\",]*\\)\"\\{0,1\\},\\{0,1\\}\$/\\1/p" | head -n 1; }
daemon() { bulkhead host status --json | field pid; }
qemu() { pgrep -u "$UID" -f '^[^ ]*qemu-system-x86_64 -name guest=a@' || true; }

echo "== started from a terminal: a scope"
bulkhead doctor
[ "$(bulkhead host status --json | field mechanism)" = cgroup ] || fail "not contained by a cgroup"
scope=$(cgroup_of "$(daemon)")
case $scope in */run-*.scope) ;; *) fail "the daemon is in $scope, no scope" ;; esac
bulkhead create "$HOME/vm.json"
bulkhead start a
vm=$(qemu)
case $(cgroup_of "$vm") in "$scope"/bulkhead-*/*) ;; *) fail "the VM is in $(cgroup_of "$vm")" ;; esac

echo "== the daemon is killed: the next one has another scope, and stops the VM in the first"
kill -KILL "$(daemon)"
bulkhead list
[ "$(cgroup_of "$(daemon)")" != "$scope" ] || fail "the same scope again"
[ "$(qemu)" = "$vm" ] || fail "the VM did not live on"
bulkhead stop --force a | tee "$HOME/stop.txt"
grep -q "kernel, of the VM's cgroup: *populated 0" "$HOME/stop.txt" || fail "no word of the kernel"
[ -z "$(qemu)" ] || fail "the VM is alive"
bulkhead host stop
for _ in $(seq 100); do systemctl --user list-units --type=scope --plain --no-legend 'run-*' | grep -q . || break; sleep 0.1; done
if systemctl --user list-units --type=scope --plain --no-legend 'run-*' | grep .; then fail "a scope is left"; fi

echo "== a unit with Delegate=yes: its own cgroup"
systemd-run --user --quiet --unit=bulkhead --property=Delegate=yes --property=KillMode=process \
  --setenv=BULKHEAD_HOME="$BULKHEAD_HOME" "$1/bulkheadd"
until [ -n "$(daemon 2>/dev/null)" ]; do sleep 0.1; done
case $(cgroup_of "$(daemon)") in */bulkhead.service) ;; *) fail "the daemon is in $(cgroup_of "$(daemon)")" ;; esac
[ "$(bulkhead host status --json | field mechanism)" = cgroup ] || fail "not contained by a cgroup"
bulkhead start a
bulkhead stop --force a >/dev/null
[ -z "$(qemu)" ] || fail "the VM is alive"
bulkhead remove a
bulkhead host stop
echo passed
