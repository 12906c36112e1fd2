-- The audit trail: `text` is byte for byte what was hashed or signed; the other columns are read from it, for questions.
-- No TTL: how long a trail must be kept is for whoever answers for it to say (ALTER TABLE audit MODIFY TTL).

CREATE TABLE IF NOT EXISTS audit
(
  id UUID,
  time DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
  source LowCardinality(String),
  topic LowCardinality(String),
  `partition` UInt32 CODEC(ZSTD(1)),
  `offset` Int64 CODEC(Delta, ZSTD(1)),
  notAfter DateTime64(3, 'UTC') EPHEMERAL toDateTime64('2299-12-31 00:00:00', 3, 'UTC'),
  ingested DateTime64(3, 'UTC') DEFAULT now64(3) + throwIf(now64(3) > notAfter, 'the insert came too late') CODEC(Delta, ZSTD(1)),
  writer LowCardinality(String),
  log LowCardinality(String),
  form LowCardinality(String),
  seq UInt64 CODEC(Delta, ZSTD(1)),
  text String CODEC(ZSTD(3)),
  -- RFC 9162 §2.1.1.
  leaf FixedString(32) DEFAULT SHA256(concat(char(0), text)) CODEC(NONE),
  kind LowCardinality(String) DEFAULT JSONExtractString(text, 'kind'),
  entry String DEFAULT JSONExtractString(text, 'id') CODEC(ZSTD(1)),
  principal String DEFAULT JSONExtractString(text, 'principal') CODEC(ZSTD(1)),
  organization Nullable(String) DEFAULT JSONExtract(text, 'organization', 'Nullable(String)') CODEC(ZSTD(1)),
  keyId Nullable(String) DEFAULT JSONExtract(text, 'keyId', 'Nullable(String)') CODEC(ZSTD(1)),
  method LowCardinality(String) DEFAULT JSONExtractString(text, 'method'),
  operation LowCardinality(String) DEFAULT JSONExtractString(text, 'operation'),
  resource String DEFAULT JSONExtractString(text, 'resource') CODEC(ZSTD(1)),
  version Nullable(String) DEFAULT JSONExtract(text, 'version', 'Nullable(String)') CODEC(ZSTD(1)),
  tokensIn UInt64 DEFAULT JSONExtractUInt(text, 'tokensIn') CODEC(ZSTD(1)),
  tokensOut UInt64 DEFAULT JSONExtractUInt(text, 'tokensOut') CODEC(ZSTD(1)),
  cost Float64 DEFAULT JSONExtractFloat(text, 'cost') CODEC(ZSTD(1)),
  outcome LowCardinality(String) DEFAULT JSONExtractString(text, 'outcome'),
  status UInt16 DEFAULT JSONExtractUInt(text, 'status') CODEC(ZSTD(1)),
  hardening LowCardinality(String) DEFAULT JSONExtractString(text, 'hardening'),
  lease Nullable(String) DEFAULT JSONExtract(text, 'lease', 'Nullable(String)') CODEC(ZSTD(1)),
  policy LowCardinality(String) DEFAULT JSONExtractString(text, 'policy'),
  policies Array(String) DEFAULT JSONExtract(text, 'policies', 'Array(String)') CODEC(ZSTD(1)),
  INDEX by_entry entry TYPE bloom_filter(0.01) GRANULARITY 1,
  INDEX by_principal principal TYPE bloom_filter(0.01) GRANULARITY 4,
  INDEX event_time time TYPE minmax GRANULARITY 4,
  PROJECTION by_id (SELECT id ORDER BY toUInt128(id))
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(ingested)
ORDER BY (writer, log, seq, form)
SETTINGS non_replicated_deduplication_window = 1000;
