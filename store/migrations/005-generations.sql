-- What a request to a language model, or to a model behind the node, says of itself since request 1.1. Rows from before have the
-- defaults, which are what an inference of a model in the node says.

ALTER TABLE requests
  ADD COLUMN IF NOT EXISTS operation LowCardinality(String) DEFAULT 'infer',
  ADD COLUMN IF NOT EXISTS streamed Bool DEFAULT false,
  ADD COLUMN IF NOT EXISTS firstTokenMs Nullable(Float64) CODEC(ZSTD(1)),
  ADD COLUMN IF NOT EXISTS tokenCount LowCardinality(String) DEFAULT 'none',
  ADD COLUMN IF NOT EXISTS temperature Nullable(Float64) CODEC(ZSTD(1)),
  ADD COLUMN IF NOT EXISTS topP Nullable(Float64) CODEC(ZSTD(1)),
  ADD COLUMN IF NOT EXISTS maxTokens Nullable(UInt64) CODEC(ZSTD(1)),
  ADD COLUMN IF NOT EXISTS choices UInt32 DEFAULT 1 CODEC(ZSTD(1)),
  ADD COLUMN IF NOT EXISTS topLogprobs UInt32 DEFAULT 0 CODEC(ZSTD(1)),
  ADD COLUMN IF NOT EXISTS finishReasons Array(LowCardinality(String)),
  ADD COLUMN IF NOT EXISTS toolCalls UInt32 DEFAULT 0 CODEC(ZSTD(1)),
  ADD COLUMN IF NOT EXISTS endpoint LowCardinality(Nullable(String)),
  ADD COLUMN IF NOT EXISTS configuration LowCardinality(String) DEFAULT '',
  ADD COLUMN IF NOT EXISTS trace Nullable(String) CODEC(ZSTD(1));
