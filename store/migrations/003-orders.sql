-- Who ordered what, and what became of it. An order is kept without the hash of a key that it carries.

-- A person's order to the control plane.
CREATE TABLE IF NOT EXISTS commands
(
  id UUID,
  time DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
  source LowCardinality(String),
  topic LowCardinality(String),
  `partition` UInt32 CODEC(ZSTD(1)),
  `offset` Int64 CODEC(Delta, ZSTD(1)),
  ingested DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1)),
  command UUID,
  person String CODEC(ZSTD(1)),
  orderedAt DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
  expiresAt DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
  kind LowCardinality(String),
  -- The target, lease, action, key, principal or dead letter that it is about.
  subject String CODEC(ZSTD(1)),
  parameters String CODEC(ZSTD(1)),
  INDEX event_time time TYPE minmax GRANULARITY 4,
  PROJECTION by_id (SELECT id ORDER BY toUInt128(id))
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(ingested)
ORDER BY (time, command)
TTL toDateTime(ingested) + INTERVAL 730 DAY
SETTINGS non_replicated_deduplication_window = 1000, ttl_only_drop_parts = 1;

-- What became of an order.
CREATE TABLE IF NOT EXISTS outcomes
(
  id UUID,
  time DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
  source LowCardinality(String),
  topic LowCardinality(String),
  `partition` UInt32 CODEC(ZSTD(1)),
  `offset` Int64 CODEC(Delta, ZSTD(1)),
  ingested DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1)),
  command UUID,
  ok Bool,
  code LowCardinality(Nullable(String)),
  error Nullable(String) CODEC(ZSTD(1)),
  result String CODEC(ZSTD(1)),
  answeredAt DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
  INDEX event_time time TYPE minmax GRANULARITY 4,
  PROJECTION by_id (SELECT id ORDER BY toUInt128(id))
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(ingested)
ORDER BY (command, time)
TTL toDateTime(ingested) + INTERVAL 730 DAY
SETTINGS non_replicated_deduplication_window = 1000, ttl_only_drop_parts = 1;

-- Telemetry 1.1. Rows from before have what its contract assumes.
ALTER TABLE telemetry
  ADD COLUMN IF NOT EXISTS everyMs UInt64 DEFAULT 5000 CODEC(T64, ZSTD(1)),
  ADD COLUMN IF NOT EXISTS closing Bool DEFAULT false,
  ADD COLUMN IF NOT EXISTS controlStaleMs Float64 DEFAULT 0 CODEC(ZSTD(1));
