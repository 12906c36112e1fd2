-- What a request says since 1.2 of who decided whether it may, and how its caller proved who it is.

ALTER TABLE requests
  ADD COLUMN IF NOT EXISTS policy LowCardinality(String) DEFAULT '',
  ADD COLUMN IF NOT EXISTS policies Array(LowCardinality(String)),
  ADD COLUMN IF NOT EXISTS method LowCardinality(String) DEFAULT 'key';
