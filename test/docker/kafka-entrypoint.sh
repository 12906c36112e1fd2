#!/usr/bin/bash
# KAFKA_LOG_DIRS is log.dirs; `__` stands for `_` and `___` for `-`.
set -eu
properties=/tmp/server.properties
echo "log.dirs=${KAFKA_LOG_DIRS:-/tmp/kraft-combined-logs}" >"$properties"
while read -r name; do
  [[ $name == KAFKA_* && $name != KAFKA_LOG_DIRS && $name != KAFKA_HEAP_OPTS ]] || continue
  setting=${name#KAFKA_}
  setting=${setting,,}
  setting=${setting//___/-}
  setting=${setting//__/$'\n'}
  setting=${setting//_/.}
  echo "${setting//$'\n'/_}=${!name}" >>"$properties"
done < <(compgen -e)
java=(/opt/java/bin/java ${KAFKA_HEAP_OPTS:--Xmx512m} -XX:+UseSerialGC -Dlog4j2.level=INFO -cp '/opt/kafka/libs/*')
"${java[@]}" kafka.tools.StorageTool format --ignore-formatted -t "${CLUSTER_ID:-5L6g3nShT-eMCtK--X86sw}" -c "$properties"
exec "${java[@]}" kafka.Kafka "$properties"
