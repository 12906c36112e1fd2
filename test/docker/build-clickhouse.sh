#!/usr/bin/env bash
# Makes an image that the ClickHouse tests start as they start clickhouse/clickhouse-server, for where that cannot be pulled: the
# engine of npm's chdb behind ClickHouse's HTTP interface (see test/clickhouse/start.ts for what that is not).
set -euo pipefail
cd "$(dirname "$0")/../.."
image=clickhouse/clickhouse-server:engine
if docker image inspect "$image" >/dev/null 2>&1; then exit 0; fi
command -v cc >/dev/null || { echo "build-clickhouse: no C compiler: apt-get install gcc libc6-dev" >&2; exit 1; }
library=$(echo node_modules/@chdb/lib-linux-*-gnu/libchdb.so)

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root"/{tmp,etc,var/lib/clickhouse}
cc -O1 -o "$root/engine" test/clickhouse/engine.c -ldl
cp "$library" "$root/libchdb.so"
echo 'root:x:0:0:root:/:/engine' >"$root/etc/passwd"
ldd "$root/engine" "$root/libchdb.so" | grep -oE '/[^ :]+\.so[^ :]*' | grep -v "^$root" | sort -u | while read -r needed; do
  install -D "$needed" "$root$needed"
done
for_ever='SYSTEM START LISTEN HTTP; SELECT sleepEachRow(1) FROM system.numbers FORMAT Null SETTINGS function_sleep_max_microseconds_per_block = 0, max_block_size = 1, max_execution_time = 0'
# As the first process its parent is 0.
tar -C "$root" -c . | docker import \
  --change "ENTRYPOINT [\"/engine\", \"/libchdb.so\", \"0\", \"--path\", \"/var/lib/clickhouse\", \"--http_port\", \"8123\", \"--listen_host\", \"0.0.0.0\", \"--query\", \"$for_ever\"]" \
  - "$image" >/dev/null
echo "built $image"
