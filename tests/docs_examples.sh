#!/usr/bin/env bash
# docs_examples.sh PAGE PROGRAMS FIRMWARE: runs the ```sh blocks of a page, in their order, as its reader would.
set -euo pipefail
page=$1 programs=$(realpath "$2") firmware=$(realpath "$3")
place=$(mktemp -d /tmp/bulkhead-docs.XXXXXX)
export BULKHEAD_HOME=$place/home XDG_RUNTIME_DIR=$place/run PATH=$programs:$PATH
mkdir -m 700 "$XDG_RUNTIME_DIR"
trap 'bulkhead host stop >/dev/null 2>&1 || true; rm -rf "$place"' EXIT
sed -n '/^```sh$/,/^```$/ { /^```/d; p }' "$page" >"$place/examples.sh"
[ "$(wc -l <"$place/examples.sh")" -gt 10 ] || { echo "no examples in $page" >&2; exit 1; }
cp "$firmware" "$place/firmware.bin"
cd "$place"
# Without pipefail: what a reader of a stream has enough of is not an error of curl, and jq -e fails without input.
bash -eu -c 'trap "echo \"failed: line \$LINENO: \$BASH_COMMAND\" >&2" ERR; . ./examples.sh'
