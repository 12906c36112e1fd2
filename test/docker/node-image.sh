#!/usr/bin/env bash
# Builds the node's image by its own Dockerfile, starts it with a read-only root as a user that is nobody, and waits for it to be
# healthy and to answer. Where its base cannot be pulled, one is made here: Debian by debootstrap, with this Node and npm.
#   test/docker/with-docker.sh test/docker/node-image.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
base=node:22-bookworm-slim
work=$(mktemp -d)
name=cordon-image-test-$$
trap 'docker rm --force $name >/dev/null 2>&1 || true; rm -rf "$work"' EXIT

make_base() {
  command -v debootstrap >/dev/null || { echo 'node-image: no debootstrap: apt-get install debootstrap' >&2; exit 1; }
  debootstrap --variant=minbase --include=ca-certificates bookworm "$work/root" >"$work/debootstrap.log" 2>&1 || { tail -5 "$work/debootstrap.log" >&2; exit 1; }
  mkdir -p "$work"/root/usr/local/{bin,lib/node_modules}
  cp node_modules/node/bin/node "$work/root/usr/local/bin/node"
  cp -r "$(npm root --global)/npm" "$work/root/usr/local/lib/node_modules/npm"
  ln -s ../lib/node_modules/npm/bin/npm-cli.js "$work/root/usr/local/bin/npm"
  # What this machine needs to reach its registries, the image needs too.
  cp -r /etc/apt/sources.list.d/. "$work/root/etc/apt/sources.list.d/"
  cp -r /etc/ssl/certs/. "$work/root/etc/ssl/certs/"
  for file in /root/.npmrc /etc/pip.conf; do [ ! -e "$file" ] || cp "$file" "$work/root$file"; done
  local extra=${NODE_EXTRA_CA_CERTS:-/etc/ssl/certs/ca-certificates.crt}
  [ ! -e "$extra" ] || cp -L "$extra" "$work/root/etc/ssl/certs/of-this-machine.pem"
  tar -C "$work/root" -c . | docker import --change 'ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/of-this-machine.pem' - "$base" >/dev/null
  rm -rf "$work/root"
}

docker image inspect "$base" >/dev/null 2>&1 || timeout 60 docker pull --quiet "$base" 2>/dev/null || make_base
echo "node-image: base after $SECONDS s"
# Without the native backend, which test:native builds by the same script.
DOCKER_BUILDKIT=0 docker build --network host --file deploy/images/node/Dockerfile --build-arg TENSORFLOW=no --tag cordon:test . >"$work/build.log" 2>&1 ||
  { tail -30 "$work/build.log" >&2; exit 1; }
echo "node-image: built after $SECONDS s"

docker run --detach --name $name --read-only --tmpfs /tmp --tmpfs /var/lib/cordon:uid=1000,gid=1000 --network host \
  --env CORDON_INFERENCE_PORT=18080 cordon:test start --console-port 0 >/dev/null
for _ in $(seq 90); do
  health=$(docker inspect --format '{{.State.Status}} {{.State.Health.Status}}' $name)
  [ "$health" != 'running starting' ] && break
  sleep 1
done
[ "$health" = 'running healthy' ] || { echo "node-image: $health" >&2; docker logs $name 2>&1 | tail -20 >&2; exit 1; }
[ "$(docker exec $name id -u)" = 1000 ] || { echo 'node-image: it runs as root' >&2; exit 1; }
docker exec $name node --eval 'fetch("http://127.0.0.1:18080/v2").then((r) => r.json()).then((it) => { if (it.name !== "cordon") process.exit(1) })'
docker stop --time 20 $name >/dev/null
code=$(docker inspect --format '{{.State.ExitCode}}' $name)
[ "$code" = 0 ] || { echo "node-image: it ended with $code when told to stop" >&2; exit 1; }
echo "node-image: healthy, read-only, user 1000, stopped in order ($SECONDS s)"
