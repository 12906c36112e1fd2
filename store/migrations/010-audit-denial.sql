-- Why a request was denied, as records of the audit trail say since they have it; older ones have none.

ALTER TABLE audit
  ADD COLUMN IF NOT EXISTS denial LowCardinality(Nullable(String)) DEFAULT JSONExtract(text, 'denial', 'Nullable(String)');
