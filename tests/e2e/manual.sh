#!/usr/bin/env bash
# manual.sh FOLDER: every page is there, and neither mandoc nor groff has anything to say about it.
set -euo pipefail
cd "$1"
for page in bulkhead.1 bulkhead-stop.1 bulkhead-host.1 bulkhead-support-bundle.1 bulkheadd.8; do
  [ -s "$page" ] || { echo "$page is missing"; exit 1; }
done
code=0
for page in *.[18]; do
  said=$(mandoc -T lint -W warning "$page" 2>&1; groff -man -ww -Tutf8 -z "$page" 2>&1) || true
  [ -z "$said" ] || { echo "$said"; code=1; }
done
exit $code
