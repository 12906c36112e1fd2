#!/usr/bin/env bash
# Every image that the tests start, made here where the engine has none of that name.
set -euo pipefail
cd "$(dirname "$0")"
for build in build-*.sh; do
  [ "$build" = build-images.sh ] || bash "$build"
done
