#!/usr/bin/env bash
# run.sh PROGRAMS FIRMWARE FOLDER: the OpenAPI document is held against a public validator, a client is generated from it
# and type-checked, and that client creates, starts, stops and removes a VM. 77: npm, or its registry, cannot be had.
set -euo pipefail
programs=$(realpath "$1") firmware=$(realpath "$2") folder=$3
sources=$(cd "$(dirname "$0")" && pwd)
document=$sources/../../host/api/openapi.json

command -v npm >/dev/null || { echo "SKIPPED: there is no npm"; exit 77; }
mkdir -p "$folder"
cp "$sources"/{package.json,package-lock.json,tsconfig.json,drive.ts,validate.mjs} "$folder"
cd "$folder"
npm ci --no-audit --no-fund --fetch-timeout=60000 >npm.log 2>&1 || {
  grep -qE 'ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|network' npm.log && { echo "SKIPPED: npm's registry cannot be reached"; exit 77; }
  cat npm.log >&2
  exit 1
}
node validate.mjs "$document"
rm -rf client out
node_modules/.bin/openapi-ts --input "$document" --output client --client @hey-api/client-fetch >generate.log 2>&1 ||
  { cat generate.log >&2; exit 1; }
node_modules/.bin/tsc

place=$(mktemp -d /tmp/bulkhead-openapi.XXXXXX)
export BULKHEAD_HOME=$place/home XDG_RUNTIME_DIR=$place/run
mkdir -m 700 "$XDG_RUNTIME_DIR"
trap '"$programs/bulkhead" host stop >/dev/null 2>&1 || true; rm -rf "$place"' EXIT
"$programs/bulkhead" host start >/dev/null
runtime=$("$programs/bulkhead" host status --json | sed -n 's/^ *"runtime_directory": "\(.*\)",*$/\1/p')
node out/drive.js "$runtime/host.sock" "$firmware"
