#!/bin/bash
# usage: selftest.sh OUTDIR
# Boots what build.sh made with nothing but QEMU and checks the promises of README.md. One line `ok ...` or `not ok ...`
# per check; exit status 0 when all are ok. BULKHEAD_GUEST_ACCEL: QEMU's -accel, tcg by default.
# BULKHEAD_GUEST_DEADLINE: seconds for a single wait, 60 by default.
set -euo pipefail

out=${1:?usage: selftest.sh OUTDIR}
qemu='qemu-system-x86_64'
accel=${BULKHEAD_GUEST_ACCEL:-tcg}
deadline_s=${BULKHEAD_GUEST_DEADLINE:-60}
failures=0
guest='' pid='' line=''

command -v "$qemu" >/dev/null || {
    printf "selftest guests: no '%s' in PATH\n  try: apt-get install qemu-system-x86\n" "$qemu" >&2
    exit 1
}
for file in firmware-obey.bin firmware-ignore.bin firmware-spin.bin vmlinuz initrd.gz; do
    [[ -s $out/$file ]] || {
        printf "selftest guests: no '%s'\n  try: build.sh '%s'\n" "$out/$file" "$out" >&2
        exit 1
    }
done

work=$(mktemp -d)
kill_qemu() {
    if [[ -n $pid ]]; then
        kill -KILL "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
        pid=
    fi
}
trap 'kill_qemu; rm -rf -- "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

now_ms() { # EPOCHREALTIME has six decimals, behind a point or a comma
    echo $((${EPOCHREALTIME//[.,]/} / 1000))
}

ok() { echo "ok $guest: $1"; }

not_ok() {
    echo "not ok $guest: $1"
    failures=$((failures + 1))
    if [[ -s $work/stderr ]]; then
        sed 's/^/# qemu: /' "$work/stderr"
    fi
}

# Reads lines from a descriptor until one matches; it is left in `line`. Status 1: end of input, 2: deadline.
wait_line() { # wait_line FD REGEX [MILLISECONDS]
    local end left status
    end=$(($(now_ms) + ${3:-$((deadline_s * 1000))}))
    while left=$((end - $(now_ms))) && ((left > 0)); do
        status=0
        IFS= read -r -t "$((left / 1000)).$(printf %03d $((left % 1000)))" -u "$1" line || status=$?
        ((status <= 128)) || return 2
        ((status == 0)) || return 1
        line=${line%$'\r'}
        [[ ! $line =~ $2 ]] || return 0
    done
    return 2
}

console_says() { # console_says REGEX
    if wait_line "$console" "$1"; then
        ok "console says '$line'"
    else
        not_ok "console says '$1'"
        return 1
    fi
}

event_comes() { # event_comes REGEX WHAT
    if wait_line "$qmp" "$1"; then
        ok "$2"
    else
        not_ok "$2"
        return 1
    fi
}

type_in() { printf '%s' "$1" >&"$console_in"; }

execute() { # execute COMMAND
    printf '{"execute":"%s","id":"%s"}\n' "$1" "$1" >&"$qmp_in"
}

press_power_button() {
    execute system_powerdown
    event_comes '"event": "POWERDOWN"' "the power button was pressed"
}

still_runs() {
    execute query-status
    event_comes '"running": true.*"id": "query-status"' "still runs"
}

# Starts QEMU with QMP on its standard input and output and the console on two named pipes. Its end closes all of them, so
# no wait outlasts it.
start() { # start NAME MACHINE ARGUMENT...
    local machine=$2 hold fifo
    guest=$1
    shift 2
    for fifo in qmp console.in console.out; do
        rm -f -- "$work/$fifo"
        mkfifo "$work/$fifo"
    done
    : >"$work/stderr"
    exec {qmp_in}<>"$work/qmp" {console_in}<>"$work/console.in" {hold}<>"$work/console.out"
    started_ms=$(now_ms)
    exec {qmp}< <(
        exec "$qemu" -nodefaults -no-user-config -display none -machine "$machine" -accel "$accel" \
            -chardev "pipe,id=console,path=$work/console" -serial chardev:console -qmp stdio \
            "$@" <"$work/qmp" 2>"$work/stderr"
    )
    pid=$!
    event_comes '^\{"QMP"' "QMP greets" || return 1
    # QEMU has the pipe open now. Without our own writer its end is the end of input.
    exec {console}<"$work/console.out" {hold}>&-
    printf '{"execute":"qmp_capabilities"}\n' >&"$qmp_in"
}

boots() { # boots BOOT_REGEX
    console_says "^BOOT $1\$" || return 1
    boot_id=$line
    if wait_line "$console" '^READY$'; then
        ok "READY $(($(now_ms) - started_ms)) ms after start"
    else
        not_ok "READY"
        return 1
    fi
}

boots_anew() {
    local before=$boot_id
    console_says '^BOOT [0-9a-f]{8}$' || return 1
    boot_id=$line
    console_says '^READY$' || return 1
    if [[ $before != "$boot_id" ]]; then ok "a new boot id"; else not_ok "a new boot id"; fi
}

powers_off() {
    local status=0
    event_comes '"event": "SHUTDOWN".*"guest": true' "powers off by itself" || return 1
    # QMP is QEMU's standard output: its end is QEMU's end.
    wait_line "$qmp" '^no such line$' || status=$?
    if [[ $status != 1 ]]; then
        not_ok "QEMU ends"
        return 1
    fi
    status=0
    wait "$pid" || status=$?
    pid=
    if [[ $status == 0 ]]; then ok "QEMU ends with status 0"; else not_ok "QEMU ends with status 0, not $status"; fi
}

finish() {
    kill_qemu
    local fd
    for fd in "${qmp_in:-}" "${console_in:-}" "${qmp:-}" "${console:-}"; do
        [[ -z $fd ]] || exec {fd}>&-
    done
    qmp_in='' console_in='' qmp='' console=''
}

# The only wait for a duration: that something does not happen has no event.
console_stays_silent() {
    if wait_line "$console" '.' 500; then
        not_ok "console stays silent, not '$line'"
        return 1
    fi
    ok "console stays silent"
}

firmware() { # firmware VARIANT MACHINE
    start "firmware-$1 ($2)" "$2" -m 8 -bios "$out/firmware-$1.bin" && boots '[0-9a-f]{8}'
}

firmware_obeys() { # firmware_obeys MACHINE
    firmware obey "$1" &&
        press_power_button && console_says '^POWERBUTTON$' && console_says '^POWEROFF$' && powers_off
}

says_its_boot_again() {
    type_in b
    console_says '^BOOT [0-9a-f]{8}$' || return 1
    if [[ $line == "$boot_id" ]]; then ok "the same boot id"; else not_ok "the same boot id, not '$line'"; fi
}

# The firmware takes every b, p, r and t for a command: texts to be echoed have none.
firmware_takes_commands() { # firmware_takes_commands MACHINE
    firmware obey "$1" &&
        says_its_boot_again &&
        type_in r && event_comes '"event": "RESET".*"guest": true' "'r' resets" && boots_anew &&
        says_its_boot_again &&
        type_in t && event_comes '"event": "RESET".*"guest": true' "'t' ends in a triple fault" && boots_anew &&
        type_in $'echo\n' && console_says '^echo$' &&
        type_in p && console_says '^POWEROFF$' && powers_off
}

firmware_ignores() { # firmware_ignores MACHINE
    firmware ignore "$1" &&
        press_power_button && console_says '^POWERBUTTON$' &&
        press_power_button && console_says '^POWERBUTTON$' &&
        type_in $'going on\n' && console_says '^going on$' &&
        still_runs &&
        type_in p && console_says '^POWEROFF$' && powers_off
}

firmware_spins() { # firmware_spins MACHINE
    firmware spin "$1" &&
        press_power_button && type_in $'p\n' && console_stays_silent && still_runs
}

linux() { # linux MACHINE KERNEL_ARGUMENTS
    start "linux ($1)${2:+ $2}" "$1" -m 128 -kernel "$out/vmlinuz" -initrd "$out/initrd.gz" \
        -append "console=ttyS0 quiet panic=-1 $2" -device virtio-serial-pci &&
        boots '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}'
}

linux_obeys() { # linux_obeys MACHINE
    linux "$1" '' &&
        press_power_button &&
        console_says '^guest: power button$' && console_says '^guest: powering off$' && powers_off
}

linux_ignores() { # linux_ignores MACHINE
    linux "$1" 'bulkhead.power=ignore bulkhead.shell' &&
        press_power_button && console_says 'guest: power button ignored$' &&
        press_power_button && console_says 'guest: power button ignored$' &&
        still_runs &&
        type_in $'echo shell $((40 + 2))\n' && console_says '^shell 42$' &&
        type_in $'poweroff -f\n' && powers_off
}

# A scenario ends at its first failure, which not_ok has counted.
for machine in q35 pc; do
    for scenario in firmware_obeys firmware_takes_commands firmware_ignores firmware_spins; do
        "$scenario" "$machine" || true
        finish
    done
done
linux_obeys q35 || true
finish
linux_obeys pc || true
finish
linux_ignores q35 || true
finish

if ((failures > 0)); then
    echo "# $failures failed"
    exit 1
fi
echo "# all ok"
