-- Fingerprints of prompts, and what of a fingerprint's caller tells accounts of one hand apart from others.

CREATE TABLE IF NOT EXISTS prompts
(
  id UUID,
  time DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
  source LowCardinality(String),
  topic LowCardinality(String),
  `partition` UInt32 CODEC(ZSTD(1)),
  `offset` Int64 CODEC(Delta, ZSTD(1)),
  notAfter DateTime64(3, 'UTC') EPHEMERAL toDateTime64('2299-12-31 00:00:00', 3, 'UTC'),
  ingested DateTime64(3, 'UTC') DEFAULT now64(3) + throwIf(now64(3) > notAfter, 'the insert came too late') CODEC(Delta, ZSTD(1)),
  request UUID,
  principal String CODEC(ZSTD(1)),
  organization LowCardinality(Nullable(String)),
  keyId Nullable(String) CODEC(ZSTD(1)),
  keyCreatedAt Nullable(DateTime64(3, 'UTC')) CODEC(ZSTD(1)),
  client String CODEC(ZSTD(1)),
  agent LowCardinality(String),
  model LowCardinality(String),
  version LowCardinality(Nullable(String)),
  node LowCardinality(String),
  operation LowCardinality(String),
  outcome LowCardinality(String),
  hardening LowCardinality(String),
  epoch UInt64 CODEC(ZSTD(1)),
  exact String CODEC(ZSTD(1)),
  system Nullable(String) CODEC(ZSTD(1)),
  bytes UInt64 CODEC(ZSTD(1)),
  messages UInt32 CODEC(ZSTD(1)),
  -- Six bytes each: hash, length, surprise; see PromptEvent.
  chunksBase64 String EPHEMERAL,
  chunks Array(UInt32) DEFAULT arrayMap(i -> reinterpretAsUInt32(substring(base64Decode(chunksBase64), 6 * i + 1, 4)), range(intDiv(length(base64Decode(chunksBase64)), 6))) CODEC(ZSTD(1)),
  chunkLengths Array(UInt8) DEFAULT arrayMap(i -> reinterpretAsUInt8(substring(base64Decode(chunksBase64), 6 * i + 5, 1)), range(intDiv(length(base64Decode(chunksBase64)), 6))) CODEC(ZSTD(1)),
  chunkSurprises Array(UInt8) DEFAULT arrayMap(i -> reinterpretAsUInt8(substring(base64Decode(chunksBase64), 6 * i + 6, 1)), range(intDiv(length(base64Decode(chunksBase64)), 6))) CODEC(ZSTD(1)),
  surprise Float64 CODEC(ZSTD(1)),
  learned UInt64 CODEC(ZSTD(1)),
  tokensIn UInt64 CODEC(ZSTD(1)),
  tokensOut UInt64 CODEC(ZSTD(1)),
  finishReasons Array(LowCardinality(String)),
  temperature Nullable(Float64) CODEC(ZSTD(1)),
  topP Nullable(Float64) CODEC(ZSTD(1)),
  maxTokens Nullable(UInt64) CODEC(ZSTD(1)),
  choices UInt32 DEFAULT 1 CODEC(ZSTD(1)),
  topLogprobs UInt32 DEFAULT 0 CODEC(ZSTD(1)),
  biasedTokens UInt32 DEFAULT 0 CODEC(ZSTD(1)),
  largestBias Float64 DEFAULT 0 CODEC(ZSTD(1)),
  biasHash Nullable(String) CODEC(ZSTD(1)),
  refused Nullable(Bool) CODEC(ZSTD(1)),
  answer Nullable(String) CODEC(ZSTD(1)),
  canaries Array(String) CODEC(ZSTD(1)),
  INDEX by_principal principal TYPE bloom_filter(0.01) GRANULARITY 4,
  INDEX event_time time TYPE minmax GRANULARITY 4,
  PROJECTION by_id (SELECT id ORDER BY toUInt128(id))
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(ingested)
ORDER BY (model, epoch, time, id)
TTL toDateTime(ingested) + INTERVAL 30 DAY
SETTINGS non_replicated_deduplication_window = 1000, ttl_only_drop_parts = 1;

ALTER TABLE fingerprints
  ADD COLUMN IF NOT EXISTS hardening LowCardinality(String) DEFAULT 'none',
  ADD COLUMN IF NOT EXISTS answered Bool DEFAULT true,
  ADD COLUMN IF NOT EXISTS client String DEFAULT '' CODEC(ZSTD(1)),
  ADD COLUMN IF NOT EXISTS agent LowCardinality(String) DEFAULT '',
  ADD COLUMN IF NOT EXISTS keyCreatedAt Nullable(DateTime64(3, 'UTC')) CODEC(ZSTD(1));
