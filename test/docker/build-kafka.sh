#!/usr/bin/env bash
# Makes the image apache/kafka:4.1.1 out of this machine's Java and Kafka's own jars, for where none can be pulled. It takes
# its settings as the official one does, from variables whose names begin with KAFKA_.
set -euo pipefail
cd "$(dirname "$0")/../.."
image=apache/kafka:4.1.1
if docker image inspect "$image" >/dev/null 2>&1; then exit 0; fi
command -v jlink >/dev/null || { echo "build-kafka: no jlink: apt-get install openjdk-17-jdk-headless" >&2; exit 1; }
node --input-type=module --eval "await (await import('$PWD/test/kafka/java.ts')).prepareJava()"

root=$(mktemp -d)
natives=$(mktemp -d)
trap 'rm -rf "$root" "$natives"' EXIT
mkdir -p "$root"/{opt/kafka,usr/bin,tmp,etc}
jlink --add-modules java.base,java.desktop,java.logging,java.management,java.naming,java.security.jgss,java.security.sasl,java.sql,java.xml,jdk.crypto.ec,jdk.unsupported \
  --strip-debug --no-header-files --no-man-pages --output "$root/opt/java"
cp -r .kafka/4.1.1 "$root/opt/kafka/libs"
cp test/docker/kafka-entrypoint.sh "$root/opt/kafka/entrypoint.sh"
cp "$(command -v bash)" "$root/usr/bin/bash"
echo 'root:x:0:0:root:/:/usr/bin/bash' >"$root/etc/passwd"
# What Kafka compresses with comes in its jars, and is unpacked when it is first used.
for jar in "$PWD"/.kafka/4.1.1/{zstd-jni,snappy-java,lz4-java}-*.jar; do (cd "$natives" && jar xf "$jar"); done
# The libraries of all of these, where the loader looks for them; what is for other processors has none here.
{ find "$root/opt/java/bin" "$root/opt/java/lib" "$root/usr/bin" "$natives" -type f \( -name '*.so' -o -perm -u+x \) -exec ldd {} + 2>/dev/null || true; } |
  grep -oE '/[^ :]+\.so[^ :]*' | grep -v -e "^$root" -e "^$natives" | sort -u | while read -r library; do
  install -D "$library" "$root$library"
done
tar -C "$root" -c . | docker import --change 'ENTRYPOINT ["/usr/bin/bash", "/opt/kafka/entrypoint.sh"]' - "$image" >/dev/null
echo "built $image"
