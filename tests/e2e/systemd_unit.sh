#!/usr/bin/env bash
# systemd_unit.sh PROGRAMS GUESTS, run by user_systemd.sh with an installed build
# The units as they are shipped, under a real `systemd --user`.
set -euo pipefail
fail() { echo "FAILED: $*"; systemctl --user status --no-pager bulkhead.service bulkhead.socket 2>&1 | head -n 40; exit 1; }
PATH=$1:$PATH
guests=$2
home=$HOME/.local/state/bulkhead
until [ -S "$XDG_RUNTIME_DIR/systemd/private" ]; do sleep 0.1; done

field() { sed -n "s/^ *\"$1\": \"\\{0,1\\}\\([^\",]*\\)\"\\{0,1\\},\\{0,1\\}\$/\\1/p" | head -n 1; }
unit() { systemctl --user show --property="$1" --value bulkhead.service; }
cgroup_of() { sed -n 's/^0:://p' "/proc/$1/cgroup"; }
qemu() { pgrep -u "$UID" -f "^[^ ]*qemu-system-x86_64 -name guest=$1@" || true; }
eventually() { for _ in $(seq 200); do "$@" && return 0; sleep 0.1; done; return 1; }
is() { [ "$(unit "$1")" = "$2" ]; }
another_daemon() { [ "$(unit MainPID)" != "$1" ] && is MainPID "$(bulkhead host status --json 2>/dev/null | field pid)"; }
spec() { # NAME KIND
  cat >"$HOME/$1.json" <<JSON
{"name": "$1", "driver": "qemu", "memory": "16MiB", "boot": {"firmware": "$guests/firmware-$2.bin"},
 "stop": {"grace_period": "1h"}, "options": {"accelerator": "tcg"}}
JSON
  bulkhead create "$HOME/$1.json"
}
settings() { # TEXT: a drop-in for the service
  mkdir -p "$HOME/.config/systemd/user/bulkhead.service.d"
  printf '[Service]\n%s\n' "$1" >"$HOME/.config/systemd/user/bulkhead.service.d/test.conf"
  systemctl --user daemon-reload
}

echo "== the socket starts the daemon, in a cgroup of its own"
systemctl --user start bulkhead.socket
[ -S "$XDG_RUNTIME_DIR/bulkhead/default/host.sock" ] || fail "no socket"
is ActiveState inactive || fail "the service runs before anybody has asked"
spec obeys obey
spec deaf ignore
eventually is ActiveState active || fail "the service is $(unit ActiveState)"
daemon=$(unit MainPID)
[ "$(bulkhead host status --json | field pid)" = "$daemon" ] || fail "another daemon answers"
[ "$(bulkhead host status --json | field mechanism)" = cgroup ] || fail "not contained by a cgroup"
case $(cgroup_of "$daemon") in */bulkhead.service) ;; *) fail "the daemon is in $(cgroup_of "$daemon")" ;; esac
bulkhead start obeys
vm=$(qemu obeys)
case $(cgroup_of "$vm") in */bulkhead.service/bulkhead-*/*) ;; *) fail "the VM is in $(cgroup_of "$vm")" ;; esac

echo "== a reload ends nothing"
printf '{"version": 1, "log": {"level": "debug"}}' >"$home/host.json"
systemctl --user reload bulkhead.service
eventually is ActiveState active || fail "the service is $(unit ActiveState)"
[ "$(unit MainPID)" = "$daemon" ] && [ "$(qemu obeys)" = "$vm" ] || fail "something ended"
bulkhead start deaf
deaf=$(qemu deaf)
tr '\0' ' ' <"/proc/$(bulkhead info deaf --json | sed -n '/"agent": {/,/}/p' | field pid)/cmdline" | grep -q -e "--log-level debug" ||
  fail "the new log level is not in force"

echo "== the daemon is killed: systemd starts another one, which adopts"
kill -KILL "$daemon"
eventually another_daemon "$daemon" || fail "no new daemon"
[ "$(qemu obeys)" = "$vm" ] || fail "the VM did not live on"
[ "$(bulkhead info obeys --json | field state)" = running ] || fail "the VM was not adopted"

echo "== the daemon hangs: the watchdog ends it, and nothing else"
settings $'WatchdogSec=2\nTimeoutAbortSec=2'
daemon=$(unit MainPID)
kill -KILL "$daemon" # the next one has the new time
eventually another_daemon "$daemon" || fail "no new daemon"
daemon=$(unit MainPID)
kill -STOP "$daemon"
eventually another_daemon "$daemon" || fail "the watchdog did not bite"
[ "$(qemu obeys)" = "$vm" ] || fail "the VM did not live on"

echo "== a stop that takes too long ends the daemon only"
settings 'TimeoutStopSec=2'
systemctl --user stop bulkhead.service || true
is Result timeout || fail "the stop ended with $(unit Result)"
[ "$(qemu deaf)" = "$deaf" ] || fail "the VM that does not obey did not live on"
[ -z "$(qemu obeys)" ] || fail "the VM that obeys was not stopped"
settings ''
systemctl --user start bulkhead.service
[ "$(qemu deaf)" = "$deaf" ] || fail "the VM did not live on"
bulkhead stop --force deaf >"$HOME/stop.txt"
grep -q "kernel, of the VM's cgroup: *populated 0" "$HOME/stop.txt" || fail "no word of the kernel"

echo "== a stop stops the VMs, and the socket stays"
bulkhead start obeys
systemctl --user stop bulkhead.service
is Result success || fail "the stop ended with $(unit Result)"
[ -z "$(qemu obeys)" ] || fail "the VM is alive"
[ -S "$XDG_RUNTIME_DIR/bulkhead/default/host.sock" ] || fail "the socket is gone"
[ "$(bulkhead info obeys --json | field state)" = stopped ] || fail "the VM is not stopped"
eventually is ActiveState active || fail "the socket did not start the daemon again"

echo "== a daemon that ends by itself leaves the socket, too"
bulkhead host stop
eventually is ActiveState inactive || fail "the service is $(unit ActiveState)"
bulkhead list
eventually is ActiveState active || fail "the socket did not start the daemon again"

echo "== a host.json that is wrong: refused once, not again and again"
systemctl --user stop bulkhead.socket bulkhead.service
printf '{"version": 1, "log": {"level": "loud"}}' >"$home/host.json"
if systemctl --user start bulkhead.service 2>/dev/null; then fail "started with a wrong host.json"; fi
is ActiveState failed || fail "the service is $(unit ActiveState)"
[ "$(unit ExecMainStatus)" = 3 ] && [ "$(unit NRestarts)" = 0 ] || fail "status $(unit ExecMainStatus), $(unit NRestarts) restarts"
rm "$home/host.json"
systemctl --user start bulkhead.service
bulkhead remove obeys
bulkhead remove deaf
systemctl --user stop bulkhead.service
echo passed
