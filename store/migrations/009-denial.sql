-- Why a request was denied, since 1.3: that its policies could not be asked is not that they forbid it.

ALTER TABLE requests
  ADD COLUMN IF NOT EXISTS denial LowCardinality(Nullable(String));
