#!/bin/bash
# usage: build.sh OUTDIR
# Assembles guest.S into OUTDIR/firmware-{obey,ignore,spin}.bin.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)

fail() { # fail CAUSE HINT
    printf "build firmware guest: %s\n  try: %s\n" "$1" "$2" >&2
    exit 1
}

out=${1:?usage: build.sh OUTDIR}
for tool in as ld; do
    command -v "$tool" >/dev/null || fail "no '$tool' in PATH" "apt-get install binutils"
done

mkdir -p -- "$out"
work=$(mktemp -d -- "$out/.firmware.XXXXXX")
trap 'rm -rf -- "$work"' EXIT

assemble() { # assemble VARIANT POWER SPIN
    as --32 --defsym "POWER=$2" --defsym "SPIN=$3" -o "$work/$1.o" "$here/guest.S" ||
        fail "the assembler refused guest.S ($1), see above" "an x86 binutils (as --32)"
    ld -m elf_i386 -e 0 -Ttext 0 --oformat binary -o "$work/firmware-$1.bin" "$work/$1.o" ||
        fail "the linker refused guest.S ($1), see above" "an x86 binutils (ld -m elf_i386)"
    chmod 0644 "$work/firmware-$1.bin"
}

assemble obey 1 0
assemble ignore 0 0
assemble spin 0 1
mv -f -- "$work"/firmware-*.bin "$out/"
