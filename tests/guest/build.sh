#!/bin/bash
# usage: build.sh OUTDIR
# Builds the guest systems of the QEMU tests: OUTDIR/firmware-{obey,ignore,spin}.bin, OUTDIR/vmlinuz, OUTDIR/initrd.gz.
# Does nothing when they are up to date. Needs no root. BULKHEAD_GUEST_CACHE: where the kernel package is kept,
# OUTDIR/cache by default.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)

fail() { # fail CAUSE HINT
    printf "build guests: %s\n  try: %s\n" "$1" "$2" >&2
    exit 1
}

build() { # build PART OUTPUT...
    local part=$1 stamp=$out/.$1.stamp sum output missing=
    shift
    sum=$(cd -- "$here/$part" && sha256sum -- *)
    for output in "$@"; do
        [[ -s $out/$output ]] || missing=yes
    done
    if [[ -z $missing && -f $stamp && $(<"$stamp") == "$sum" ]]; then
        return 0
    fi
    rm -f -- "$stamp"
    "$here/$part/build.sh" "$out"
    printf '%s\n' "$sum" >"$stamp.new"
    mv -f -- "$stamp.new" "$stamp"
}

[[ $# == 1 && -n $1 ]] || fail "one argument expected, $# given" "build.sh OUTDIR"
mkdir -p -- "$1" || fail "cannot create '$1', see above" "another OUTDIR"
out=$(cd -- "$1" && pwd)
[[ -w $out ]] || fail "cannot write to '$out'" "another OUTDIR"

# Parallel test runs may share OUTDIR: one builds, the others wait and then find everything done.
exec {lock}>"$out/.lock"
flock -w 300 "$lock" || fail "'$out' is locked by another build for 300 s" "end the process that holds '$out/.lock'"

build firmware firmware-obey.bin firmware-ignore.bin firmware-spin.bin
build linux vmlinuz initrd.gz
