#!/usr/bin/env bash
# tests/support/as_user.sh COMMAND [ARGUMENT...]: runs it as a user without privileges. Called by root, as nobody, with what such
# a user has on a machine made for it: a delegated cgroup v2 subtree, in which the command runs; a directory for temporary files
# (TMPDIR, HOME, short: sockets are made below it); and a test_child that runs as root (BULKHEAD_TEST_SETUID_CHILD), when
# BULKHEAD_TEST_CHILD names the program to copy. A process or cgroup that is left is ended, told and a failure. Called by another
# user, it just runs the command. 77: it cannot be done here.
set -euo pipefail
[ "$(id -u)" = 0 ] || exec "$@"
user=65534

cannot() { echo "SKIPPED: as a user without privileges: $*"; exit 77; }
drop() { setpriv --reuid=$user --regid=$user --clear-groups "$@"; }
command -v setpriv >/dev/null || cannot "there is no setpriv (util-linux)"
drop test -x "$1" || cannot "uid $user may not run '$1': a folder that is closed to others, or a filesystem mounted noexec"
for argument in "${@:2}"; do
  [ ! -e "$argument" ] || drop test -r "$argument" || cannot "uid $user may not read '$argument'"
done

# proc(5): "36 35 98:0 ROOT MOUNT_POINT options - TYPE source options"
mount=$(sed -nE 's,^[^ ]+ [^ ]+ [^ ]+ / ([^ ]+) .* - cgroup2 .*,\1,p' /proc/self/mountinfo | head -1)
[ -n "$mount" ] || cannot "there is no cgroup v2 mount"
subtree=$mount$(sed -n 's/^0:://p' /proc/self/cgroup)
subtree=${subtree%/}/bulkhead-test-$$
mkdir "$subtree" 2>/dev/null || cannot "root may not make the cgroup '$subtree'"

temporary=$(mktemp -d /tmp/b.XXXXXX)
privileged=
# Deepest first; what is still populated cannot be removed.
remove_all() {
  find "$subtree" -depth -type d -exec rmdir {} + 2>/dev/null || true
  rm -rf "$temporary" ${privileged:+"$privileged"}
}
trap remove_all EXIT
chown $user:$user "$temporary" "$subtree" "$subtree"/cgroup.{procs,kill,freeze,threads,subtree_control}

export HOME=$temporary TMPDIR=$temporary
unset XDG_RUNTIME_DIR XDG_STATE_HOME
if [ -n "${BULKHEAD_TEST_CHILD:-}" ]; then
  for place in /var/tmp "$(dirname "$BULKHEAD_TEST_CHILD")"; do
    case ,$(findmnt -no OPTIONS -T "$place"), in *,nosuid,* | *,noexec,*) continue ;; esac
    privileged=$(mktemp -d "$place/bulkhead-setuid.XXXXXX")
    chgrp $user "$privileged"; chmod 710 "$privileged"
    # For the tests' user alone: it does as it is told, as root.
    install -o root -g $user -m 4750 "$BULKHEAD_TEST_CHILD" "$privileged/test_child"
    export BULKHEAD_TEST_SETUID_CHILD=$privileged/test_child
    break
  done
fi

code=0
# From inside: only what lives in the subtree may enter it later without root.
bash -c 'echo $$ >"$0/cgroup.procs"; exec "$@"' "$subtree" \
  setpriv --reuid=$user --regid=$user --clear-groups "$@" || code=$?

members() { find "$subtree" -name cgroup.procs -exec cat {} +; }
left=$(members)
if [ -n "$left" ]; then
  echo "left behind in $subtree:"
  for pid in $left; do echo "  pid $pid: $(tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" || true)"; done
  for _ in $(seq 100); do
    # cgroup.kill misses a process whose main thread has ended.
    echo 1 >"$subtree/cgroup.kill"
    for pid in $(members); do kill -9 "$pid" 2>/dev/null || true; done
    [ -n "$(members)" ] || break
    sleep 0.05
  done
  [ $code != 0 ] || code=70
fi
runs=$(find "$subtree" -mindepth 2 -type d)
if [ -n "$runs" ]; then
  echo "cgroups left behind: $runs"
  [ $code != 0 ] || code=70
fi
exit $code
