-- The events as they were observed: requests, fingerprints, telemetry, flows.
--
-- Every table keeps who said it (source), when it happened (time), where it stood on the bus (topic, partition,
-- offset) and when it was stored (ingested).
--
-- Partitions and retention follow `ingested`, not `time`: all rows of one insert then fall into one partition, so
-- an insert is stored whole or not at all, and a sensor with a wrong clock can neither open a hundred partitions
-- nor have its events expire on arrival.
--
-- The projection `by_id` is what makes "is this id there already?" cheap: a UUIDv7 as a number sorts by time,
-- so the ids of a batch lie together. Deduplication by insert token needs the window, which defaults to 0.

-- One HTTP request to a model. Asked mostly by principal, over time.
CREATE TABLE IF NOT EXISTS requests
(
  id UUID,
  time DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
  source LowCardinality(String),
  topic LowCardinality(String),
  `partition` UInt32 CODEC(ZSTD(1)),
  `offset` Int64 CODEC(Delta, ZSTD(1)),
  ingested DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1)),
  principal String CODEC(ZSTD(1)),
  organization LowCardinality(Nullable(String)),
  keyId Nullable(String) CODEC(ZSTD(1)),
  model LowCardinality(String),
  version LowCardinality(Nullable(String)),
  pool LowCardinality(Nullable(String)),
  node LowCardinality(String),
  outcome LowCardinality(String),
  status UInt16 CODEC(ZSTD(1)),
  hardening LowCardinality(String),
  items UInt64 CODEC(T64, ZSTD(1)),
  bytesIn UInt64 CODEC(T64, ZSTD(1)),
  bytesOut UInt64 CODEC(T64, ZSTD(1)),
  durationMs Float64 CODEC(ZSTD(1)),
  queueMs Float64 CODEC(ZSTD(1)),
  tokensIn UInt64 CODEC(T64, ZSTD(1)),
  tokensOut UInt64 CODEC(T64, ZSTD(1)),
  cost Float64 CODEC(ZSTD(1)),
  client String CODEC(ZSTD(1)),
  agent String CODEC(ZSTD(1)),
  answeredAt DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
  lease Nullable(String) CODEC(ZSTD(1)),
  confidence Nullable(Float64) CODEC(ZSTD(1)),
  INDEX event_time time TYPE minmax GRANULARITY 4,
  PROJECTION by_id (SELECT id ORDER BY toUInt128(id))
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(ingested)
ORDER BY (principal, time, id)
TTL toDateTime(ingested) + INTERVAL 90 DAY
SETTINGS non_replicated_deduplication_window = 1000, ttl_only_drop_parts = 1;

-- The fingerprint of one input. Compared within model, profile and epoch.
CREATE TABLE IF NOT EXISTS fingerprints
(
  id UUID,
  time DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
  source LowCardinality(String),
  topic LowCardinality(String),
  `partition` UInt32 CODEC(ZSTD(1)),
  `offset` Int64 CODEC(Delta, ZSTD(1)),
  ingested DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1)),
  request UUID,
  `index` UInt64 CODEC(ZSTD(1)),
  principal String CODEC(ZSTD(1)),
  organization LowCardinality(Nullable(String)),
  keyId Nullable(String) CODEC(ZSTD(1)),
  model LowCardinality(String),
  version LowCardinality(String),
  node LowCardinality(String),
  profile LowCardinality(String),
  epoch UInt64 CODEC(ZSTD(1)),
  exact String CODEC(ZSTD(1)),
  -- Both arrive as base64 of little-endian numbers and are kept as numbers, so that SQL can measure distances.
  sketchBase64 String EPHEMERAL,
  sketch Array(Int16) DEFAULT arrayMap(i -> reinterpretAsInt16(substring(base64Decode(sketchBase64), 2 * i + 1, 2)), range(intDiv(length(base64Decode(sketchBase64)), 2))) CODEC(ZSTD(1)),
  scale Float64 CODEC(ZSTD(1)),
  bandsBase64 String EPHEMERAL,
  bands Array(UInt32) DEFAULT arrayMap(i -> reinterpretAsUInt32(substring(base64Decode(bandsBase64), 4 * i + 1, 4)), range(intDiv(length(base64Decode(bandsBase64)), 4))) CODEC(ZSTD(1)),
  residual Float64 CODEC(ZSTD(1)),
  residualTail Float64 CODEC(ZSTD(1)),
  confidenceTail Float64 CODEC(ZSTD(1)),
  classTail Float64 CODEC(ZSTD(1)),
  referenceDistance Float64 CODEC(ZSTD(1)),
  label UInt64 CODEC(ZSTD(1)),
  confidence Float64 CODEC(ZSTD(1)),
  margin Float64 CODEC(ZSTD(1)),
  entropy Float64 CODEC(ZSTD(1)),
  INDEX by_principal principal TYPE bloom_filter(0.01) GRANULARITY 4,
  INDEX event_time time TYPE minmax GRANULARITY 4,
  PROJECTION by_id (SELECT id ORDER BY toUInt128(id))
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(ingested)
ORDER BY (model, profile, epoch, time, id)
TTL toDateTime(ingested) + INTERVAL 30 DAY
SETTINGS non_replicated_deduplication_window = 1000, ttl_only_drop_parts = 1;

-- A periodic sample of one node; counters count since its process began.
CREATE TABLE IF NOT EXISTS telemetry
(
  id UUID,
  time DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
  source LowCardinality(String),
  topic LowCardinality(String),
  `partition` UInt32 CODEC(ZSTD(1)),
  `offset` Int64 CODEC(Delta, ZSTD(1)),
  ingested DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1)),
  node LowCardinality(String),
  pool LowCardinality(Nullable(String)),
  requests UInt64 CODEC(T64, ZSTD(1)),
  emitted UInt64 CODEC(T64, ZSTD(1)),
  dropped UInt64 CODEC(T64, ZSTD(1)),
  spoolBytes UInt64 CODEC(T64, ZSTD(1)),
  loopDelayMs Float64 CODEC(ZSTD(1)),
  memoryBytes UInt64 CODEC(T64, ZSTD(1)),
  tensorBytes UInt64 CODEC(T64, ZSTD(1)),
  queueDepth UInt64 CODEC(T64, ZSTD(1)),
  INDEX event_time time TYPE minmax GRANULARITY 4,
  PROJECTION by_id (SELECT id ORDER BY toUInt128(id))
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(ingested)
ORDER BY (node, time, id)
TTL toDateTime(ingested) + INTERVAL 30 DAY
SETTINGS non_replicated_deduplication_window = 1000, ttl_only_drop_parts = 1;

-- One network connection of a serving workload.
CREATE TABLE IF NOT EXISTS flows
(
  id UUID,
  time DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
  source LowCardinality(String),
  topic LowCardinality(String),
  `partition` UInt32 CODEC(ZSTD(1)),
  `offset` Int64 CODEC(Delta, ZSTD(1)),
  ingested DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1)),
  workload LowCardinality(String),
  pool LowCardinality(Nullable(String)),
  connection Nullable(String) CODEC(ZSTD(1)),
  destinationAddress String CODEC(ZSTD(1)),
  destinationPort UInt16 CODEC(ZSTD(1)),
  destinationName Nullable(String) CODEC(ZSTD(1)),
  protocol LowCardinality(String),
  service LowCardinality(Nullable(String)),
  bytesOut UInt64 CODEC(T64, ZSTD(1)),
  bytesIn UInt64 CODEC(T64, ZSTD(1)),
  durationMs Float64 CODEC(ZSTD(1)),
  INDEX event_time time TYPE minmax GRANULARITY 4,
  PROJECTION by_id (SELECT id ORDER BY toUInt128(id))
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(ingested)
ORDER BY (workload, time, id)
TTL toDateTime(ingested) + INTERVAL 90 DAY
SETTINGS non_replicated_deduplication_window = 1000, ttl_only_drop_parts = 1;
