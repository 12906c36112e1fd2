#!/usr/bin/env bash
# Runs a command with a Docker engine: the one that answers, else one of its own (Debian's docker.io, as root) whose data,
# socket and containers are gone afterwards.
#   test/docker/with-docker.sh npm run test:kafka
set -euo pipefail
# The helper that testcontainers cleans up with is an image to be pulled; what a test leaves behind goes with the engine.
export TESTCONTAINERS_RYUK_DISABLED=true
if timeout 10 docker info >/dev/null 2>&1; then exec "$@"; fi
command -v dockerd >/dev/null || { echo "with-docker: no Docker engine answers, and there is no dockerd to start: apt-get install docker.io" >&2; exit 1; }

home=$(mktemp -d "${TMPDIR:-/tmp}/cordon-docker-XXXXXX")
socket="$home/docker.sock"
engine() {
  dockerd --data-root "$home/data" --exec-root "$home/exec" --pidfile "$home/pid" --host "unix://$socket" --storage-driver "$1" >>"$home/log" 2>&1 &
  pid=$!
  for _ in $(seq 150); do
    DOCKER_HOST="unix://$socket" docker info >/dev/null 2>&1 && return 0
    kill -0 "$pid" 2>/dev/null || return 1
    sleep 0.2
  done
  return 1
}
stop() {
  kill "$pid" 2>/dev/null || true
  wait "$pid" 2>/dev/null || true
  grep " $home/" /proc/mounts | cut -d ' ' -f 2 | sort -r | xargs -r -n 1 umount 2>/dev/null || true
  rm -rf "$home"
}
trap stop EXIT
# vfs copies every layer, and works where overlays cannot be stacked.
engine overlay2 || engine vfs || { tail -20 "$home/log" >&2; exit 1; }
export DOCKER_HOST="unix://$socket"
"$@"
