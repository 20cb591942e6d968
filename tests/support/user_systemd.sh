#!/usr/bin/env bash
# user_systemd.sh SCRIPT PROGRAMS GUESTS [BUILD]
# Runs `SCRIPT PROGRAMS GUESTS` as an unprivileged user who has a real `systemd --user` of his own, in a mount namespace.
# With BUILD, that build is installed first: PROGRAMS is then the installed ones' folder, systemd knows the installed
# units, and the home is the account's own; else BULKHEAD_HOME names one.
set -euo pipefail
skip() { echo "skipped: $*"; exit 77; }

if [ "${1:-}" != --inside ]; then
  script=$(realpath "$1") programs=$(realpath "$2") guests=$(realpath "$3") build=${4:+$(realpath "$4")}
  [ "$(id -u)" = 0 ] || skip "needs root, to give another user a systemd of his own"
  [ -x /lib/systemd/systemd ] && command -v systemd-run >/dev/null || skip "systemd is not installed"
  setpriv --reuid=65534 --regid=65534 --clear-groups test -x "$programs/bulkheadd" || skip "another user cannot run $programs"
  exec unshare --mount "$0" --inside "$script" "$programs" "$guests" "$build"
fi
shift
script=$1 programs=$2 guests=$3 build=$4 user=65534

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
  umount -l /etc/passwd "$tree" 2>/dev/null
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
environment=(PATH="$PATH" HOME="$folder/user" XDG_RUNTIME_DIR="$folder/run")
if [ -n "$build" ]; then
  cmake --install "$build" --prefix "$folder/prefix" >"$folder/install.log" || { cat "$folder/install.log"; exit 1; }
  programs=$folder/prefix/bin
  environment+=(SYSTEMD_UNIT_PATH="$folder/prefix/lib/systemd/user:")
  awk -F: -v OFS=: -v user="$user" -v home="$folder/user" '$3 == user { $6 = home } { print }' /etc/passwd >"$folder/passwd"
  mount --bind "$folder/passwd" /etc/passwd
else
  environment+=(BULKHEAD_HOME="$folder/user/home")
fi

as_user() {
  local exec=()
  [ "$1" != exec ] || { exec=(exec); shift; }
  "${exec[@]}" env -i "${environment[@]}" setpriv --reuid="$user" --regid="$user" --clear-groups "$@"
}
install -m 755 "$script" "$folder/script.sh"  # the user may not be able to read where it is
(echo "$BASHPID" >"$subtree/user/cgroup.procs" && as_user exec /lib/systemd/systemd --user) >"$folder/systemd.log" 2>&1 &
user_manager=$!
echo $$ >"$subtree/session/cgroup.procs"
as_user timeout 100 bash "$folder/script.sh" "$programs" "$guests" || { status=$?; cat "$folder/systemd.log"; exit $status; }
