-- What was concluded and done. Every revision is a row; the views give the latest.

-- What a detector saw.
CREATE TABLE IF NOT EXISTS findings
(
  id UUID,
  time DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
  source LowCardinality(String),
  topic LowCardinality(String),
  `partition` UInt32 CODEC(ZSTD(1)),
  `offset` Int64 CODEC(Delta, ZSTD(1)),
  ingested DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1)),
  finding String CODEC(ZSTD(1)),
  revision UInt64,
  raisedAt DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
  detector LowCardinality(String),
  version UInt64,
  scope String CODEC(ZSTD(1)),
  severity LowCardinality(String),
  confidence Float64 CODEC(ZSTD(1)),
  threats Array(LowCardinality(String)),
  principals Array(String) CODEC(ZSTD(1)),
  organizations Array(String) CODEC(ZSTD(1)),
  model LowCardinality(Nullable(String)),
  workload LowCardinality(Nullable(String)),
  pool LowCardinality(Nullable(String)),
  title String CODEC(ZSTD(1)),
  evidence String CODEC(ZSTD(1)),
  windowFrom DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
  windowUntil DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
  eventsSeen UInt64 CODEC(T64, ZSTD(1)),
  decidedBy Nullable(UUID),
  INDEX event_time time TYPE minmax GRANULARITY 4,
  PROJECTION by_id (SELECT id ORDER BY toUInt128(id))
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(ingested)
ORDER BY (time, finding, revision)
TTL toDateTime(ingested) + INTERVAL 730 DAY
SETTINGS non_replicated_deduplication_window = 1000, ttl_only_drop_parts = 1;

-- Findings about the same subjects, grouped.
CREATE TABLE IF NOT EXISTS incidents
(
  id UUID,
  time DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
  source LowCardinality(String),
  topic LowCardinality(String),
  `partition` UInt32 CODEC(ZSTD(1)),
  `offset` Int64 CODEC(Delta, ZSTD(1)),
  ingested DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1)),
  incident String CODEC(ZSTD(1)),
  state LowCardinality(String),
  title String CODEC(ZSTD(1)),
  severity LowCardinality(String),
  confidence Float64 CODEC(ZSTD(1)),
  threats Array(LowCardinality(String)),
  detectors Array(LowCardinality(String)),
  principals Array(String) CODEC(ZSTD(1)),
  organizations Array(String) CODEC(ZSTD(1)),
  models Array(LowCardinality(String)),
  workloads Array(String) CODEC(ZSTD(1)),
  pools Array(LowCardinality(String)),
  targets Array(String) CODEC(ZSTD(1)),
  findings Array(String) CODEC(ZSTD(1)),
  findingCount UInt64 CODEC(T64, ZSTD(1)),
  openedAt DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
  updatedAt DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
  repetitions UInt64,
  closedAt Nullable(DateTime64(3, 'UTC')),
  INDEX event_time time TYPE minmax GRANULARITY 4,
  PROJECTION by_id (SELECT id ORDER BY toUInt128(id))
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(ingested)
ORDER BY (incident, updatedAt, offset)
TTL toDateTime(ingested) + INTERVAL 730 DAY
SETTINGS non_replicated_deduplication_window = 1000, ttl_only_drop_parts = 1;

-- What a responder was asked to do, and what came of it.
CREATE TABLE IF NOT EXISTS actions
(
  id UUID,
  time DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
  source LowCardinality(String),
  topic LowCardinality(String),
  `partition` UInt32 CODEC(ZSTD(1)),
  `offset` Int64 CODEC(Delta, ZSTD(1)),
  ingested DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1)),
  action String CODEC(ZSTD(1)),
  incident Nullable(String),
  responder LowCardinality(String),
  effect LowCardinality(String),
  target String CODEC(ZSTD(1)),
  parameters String CODEC(ZSTD(1)),
  reason String CODEC(ZSTD(1)),
  owner String CODEC(ZSTD(1)),
  state LowCardinality(String),
  plannedAt DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
  until DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
  note String CODEC(ZSTD(1)),
  decidedAt Nullable(DateTime64(3, 'UTC')),
  INDEX event_time time TYPE minmax GRANULARITY 4,
  PROJECTION by_id (SELECT id ORDER BY toUInt128(id))
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(ingested)
ORDER BY (target, time, offset)
TTL toDateTime(ingested) + INTERVAL 730 DAY
SETTINGS non_replicated_deduplication_window = 1000, ttl_only_drop_parts = 1;

-- Leases; `startedAt` is the contract's `from`.
CREATE TABLE IF NOT EXISTS containments
(
  id UUID,
  time DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
  source LowCardinality(String),
  topic LowCardinality(String),
  `partition` UInt32 CODEC(ZSTD(1)),
  `offset` Int64 CODEC(Delta, ZSTD(1)),
  ingested DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1)),
  lease String CODEC(ZSTD(1)),
  target String CODEC(ZSTD(1)),
  action LowCardinality(String),
  parameters String CODEC(ZSTD(1)),
  reason String CODEC(ZSTD(1)),
  owner String CODEC(ZSTD(1)),
  incident Nullable(String),
  startedAt DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
  until DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
  state LowCardinality(String),
  revision UInt64,
  endedAt Nullable(DateTime64(3, 'UTC')),
  endedBy Nullable(String),
  decidedAt Nullable(DateTime64(3, 'UTC')),
  INDEX event_time time TYPE minmax GRANULARITY 4,
  PROJECTION by_id (SELECT id ORDER BY toUInt128(id))
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(ingested)
ORDER BY (lease, revision, offset)
TTL toDateTime(ingested) + INTERVAL 730 DAY
SETTINGS non_replicated_deduplication_window = 1000, ttl_only_drop_parts = 1;

-- A node says that it enforces a lease.
CREATE TABLE IF NOT EXISTS acknowledgements
(
  id UUID,
  time DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
  source LowCardinality(String),
  topic LowCardinality(String),
  `partition` UInt32 CODEC(ZSTD(1)),
  `offset` Int64 CODEC(Delta, ZSTD(1)),
  ingested DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1)),
  lease String CODEC(ZSTD(1)),
  revision UInt64,
  node LowCardinality(String),
  at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
  enforcedAfterMs Nullable(Float64),
  INDEX event_time time TYPE minmax GRANULARITY 4,
  PROJECTION by_id (SELECT id ORDER BY toUInt128(id))
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(ingested)
ORDER BY (lease, revision, node)
TTL toDateTime(ingested) + INTERVAL 730 DAY
SETTINGS non_replicated_deduplication_window = 1000, ttl_only_drop_parts = 1;

-- Records that could not be understood, with the reason; `fromTopic` and so on say where each stood.
CREATE TABLE IF NOT EXISTS dead_letters
(
  id UUID,
  time DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
  source LowCardinality(String),
  topic LowCardinality(String),
  `partition` UInt32 CODEC(ZSTD(1)),
  `offset` Int64 CODEC(Delta, ZSTD(1)),
  ingested DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1)),
  fromTopic LowCardinality(String),
  fromPartition UInt64,
  fromOffset Int64,
  code LowCardinality(String),
  reason String CODEC(ZSTD(1)),
  key Nullable(String),
  headers Map(String, String),
  -- First 8 KiB of the value, base64.
  value String CODEC(ZSTD(1)),
  size UInt64 CODEC(T64, ZSTD(1)),
  at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
  INDEX event_time time TYPE minmax GRANULARITY 4,
  PROJECTION by_id (SELECT id ORDER BY toUInt128(id))
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(ingested)
ORDER BY (fromTopic, time, id)
TTL toDateTime(ingested) + INTERVAL 365 DAY
SETTINGS non_replicated_deduplication_window = 1000, ttl_only_drop_parts = 1;

CREATE VIEW IF NOT EXISTS findings_latest AS
SELECT * FROM findings ORDER BY finding, revision DESC, `offset` DESC LIMIT 1 BY finding;

CREATE VIEW IF NOT EXISTS incidents_latest AS
SELECT * FROM incidents ORDER BY incident, updatedAt DESC, `offset` DESC LIMIT 1 BY incident;

CREATE VIEW IF NOT EXISTS actions_latest AS
SELECT * FROM actions ORDER BY action, `offset` DESC LIMIT 1 BY action;

CREATE VIEW IF NOT EXISTS containments_latest AS
SELECT * FROM containments ORDER BY lease, revision DESC, `offset` DESC LIMIT 1 BY lease;
