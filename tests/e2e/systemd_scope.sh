#!/usr/bin/env bash
# systemd_scope.sh PROGRAMS GUESTS
# An unprivileged user with a systemd user manager of his own gets cgroups: in a scope that bulkheadd asks for when it is
# started from a terminal, and in a unit with Delegate=yes. Runs a real `systemd --user` in a mount namespace of its own.
set -euo pipefail
skip() { echo "skipped: $*"; exit 77; }

if [ "${1:-}" != --inside ]; then
  programs=$(realpath "$1") guests=$(realpath "$2")
  [ "$(id -u)" = 0 ] || skip "needs root, to give another user a systemd of his own"
  [ -x /lib/systemd/systemd ] && command -v systemd-run >/dev/null || skip "systemd is not installed"
  setpriv --reuid=65534 --regid=65534 --clear-groups test -x "$programs/bulkheadd" || skip "another user cannot run $programs"
  exec unshare --mount "$0" --inside "$programs" "$guests"
fi
shift
programs=$1 guests=$2 user=65534

mount --make-rprivate /
folder=$(mktemp -d)
tree=$folder/cgroup
subtree=
user_manager=
end() {
  set +e
  [ -z "$user_manager" ] || kill -KILL "$user_manager" 2>/dev/null
  echo $$ >"$tree/cgroup.procs" 2>/dev/null
  [ -z "$subtree" ] || { echo 1 >"$subtree/cgroup.kill"; timeout 10 bash -c 'until grep -q "populated 0" "$0"; do sleep 0.01; done' "$subtree/cgroup.events"; find "$subtree" -depth -type d -exec rmdir {} \; ; }
  umount -l "$tree" 2>/dev/null
  rm -rf "$folder"
}
trap end EXIT
mkdir "$tree"
mount -t cgroup2 none "$tree" 2>/dev/null || skip "cgroup2 cannot be mounted"
mount -t tmpfs none /run
mkdir -p /run/systemd/system # what systemd takes for a system that it runs
mount --rbind "$tree" /sys/fs/cgroup 2>/dev/null || skip "the cgroup mount cannot be replaced"
# As with a system's own systemd: a session that is not the user's to change, beside a subtree that is. That the user may
# write the procs of both's parent stands for the system manager, which moves processes for him.
subtree=$tree/bulkhead-systemd-test.$$
mkdir "$subtree" "$subtree/session" "$subtree/user"
chown "$user" "$subtree/cgroup.procs" "$subtree/user" "$subtree/user"/cgroup.{procs,threads,subtree_control,kill,freeze}
chmod 755 "$folder"
install -d -m 700 -o "$user" -g "$user" "$folder/run" "$folder/user"

cat >"$folder/as_user.sh" <<'INNER'
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
INNER

as_user() {
  local exec=()
  [ "$1" != exec ] || { exec=(exec); shift; }
  "${exec[@]}" env -i PATH="$PATH" HOME="$folder/user" XDG_RUNTIME_DIR="$folder/run" BULKHEAD_HOME="$folder/user/home" setpriv --reuid="$user" --regid="$user" --clear-groups "$@"
}
(echo "$BASHPID" >"$subtree/user/cgroup.procs" && as_user exec /lib/systemd/systemd --user) >"$folder/systemd.log" 2>&1 &
user_manager=$!
echo $$ >"$subtree/session/cgroup.procs"
as_user timeout 100 bash "$folder/as_user.sh" "$programs" "$guests" || { status=$?; cat "$folder/systemd.log"; exit $status; }
