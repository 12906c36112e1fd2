#!/usr/bin/env bash
# Python clients that test/clients/*.clients.ts run, in .clients/ of the working tree; nothing where they are there already.
set -euo pipefail
script=$(realpath "$0")
cd "$(dirname "$script")/../.."

# Two runs at once would undo each other's work.
if command -v flock > /dev/null; then
  exec 9< "$script"
  flock 9
fi

wanted=$(sha256sum test/clients/requirements.txt | cut -c1-64)
if [ "$(cat .clients/requirements.sha256 2>/dev/null || true)" = "$wanted" ]; then exit 0; fi
if ! python3 -m venv --clear .clients; then
  echo 'The clients need Python 3.10 or newer, with venv: on Debian, apt-get install python3-venv' >&2
  exit 1
fi
.clients/bin/pip install --quiet --disable-pip-version-check --requirement test/clients/requirements.txt
echo "$wanted" > .clients/requirements.sha256
