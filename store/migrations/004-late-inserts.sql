-- An insert says until when it may begin. One that the server comes to later (it was paused, or something between held
-- the request back) is refused: who sent it may be gone, and its rows stored by another. See store/server-clock.ts.
-- `notAfter` is of the statement only and never stored; without it nothing is refused.

ALTER TABLE requests
  ADD COLUMN IF NOT EXISTS notAfter DateTime64(3, 'UTC') EPHEMERAL toDateTime64('2299-12-31 00:00:00', 3, 'UTC'),
  MODIFY COLUMN ingested DEFAULT now64(3) + throwIf(now64(3) > notAfter, 'the insert came too late');

ALTER TABLE fingerprints
  ADD COLUMN IF NOT EXISTS notAfter DateTime64(3, 'UTC') EPHEMERAL toDateTime64('2299-12-31 00:00:00', 3, 'UTC'),
  MODIFY COLUMN ingested DEFAULT now64(3) + throwIf(now64(3) > notAfter, 'the insert came too late');

ALTER TABLE telemetry
  ADD COLUMN IF NOT EXISTS notAfter DateTime64(3, 'UTC') EPHEMERAL toDateTime64('2299-12-31 00:00:00', 3, 'UTC'),
  MODIFY COLUMN ingested DEFAULT now64(3) + throwIf(now64(3) > notAfter, 'the insert came too late');

ALTER TABLE flows
  ADD COLUMN IF NOT EXISTS notAfter DateTime64(3, 'UTC') EPHEMERAL toDateTime64('2299-12-31 00:00:00', 3, 'UTC'),
  MODIFY COLUMN ingested DEFAULT now64(3) + throwIf(now64(3) > notAfter, 'the insert came too late');

ALTER TABLE findings
  ADD COLUMN IF NOT EXISTS notAfter DateTime64(3, 'UTC') EPHEMERAL toDateTime64('2299-12-31 00:00:00', 3, 'UTC'),
  MODIFY COLUMN ingested DEFAULT now64(3) + throwIf(now64(3) > notAfter, 'the insert came too late');

ALTER TABLE incidents
  ADD COLUMN IF NOT EXISTS notAfter DateTime64(3, 'UTC') EPHEMERAL toDateTime64('2299-12-31 00:00:00', 3, 'UTC'),
  MODIFY COLUMN ingested DEFAULT now64(3) + throwIf(now64(3) > notAfter, 'the insert came too late');

ALTER TABLE actions
  ADD COLUMN IF NOT EXISTS notAfter DateTime64(3, 'UTC') EPHEMERAL toDateTime64('2299-12-31 00:00:00', 3, 'UTC'),
  MODIFY COLUMN ingested DEFAULT now64(3) + throwIf(now64(3) > notAfter, 'the insert came too late');

ALTER TABLE containments
  ADD COLUMN IF NOT EXISTS notAfter DateTime64(3, 'UTC') EPHEMERAL toDateTime64('2299-12-31 00:00:00', 3, 'UTC'),
  MODIFY COLUMN ingested DEFAULT now64(3) + throwIf(now64(3) > notAfter, 'the insert came too late');

ALTER TABLE acknowledgements
  ADD COLUMN IF NOT EXISTS notAfter DateTime64(3, 'UTC') EPHEMERAL toDateTime64('2299-12-31 00:00:00', 3, 'UTC'),
  MODIFY COLUMN ingested DEFAULT now64(3) + throwIf(now64(3) > notAfter, 'the insert came too late');

ALTER TABLE dead_letters
  ADD COLUMN IF NOT EXISTS notAfter DateTime64(3, 'UTC') EPHEMERAL toDateTime64('2299-12-31 00:00:00', 3, 'UTC'),
  MODIFY COLUMN ingested DEFAULT now64(3) + throwIf(now64(3) > notAfter, 'the insert came too late');

ALTER TABLE commands
  ADD COLUMN IF NOT EXISTS notAfter DateTime64(3, 'UTC') EPHEMERAL toDateTime64('2299-12-31 00:00:00', 3, 'UTC'),
  MODIFY COLUMN ingested DEFAULT now64(3) + throwIf(now64(3) > notAfter, 'the insert came too late');

ALTER TABLE outcomes
  ADD COLUMN IF NOT EXISTS notAfter DateTime64(3, 'UTC') EPHEMERAL toDateTime64('2299-12-31 00:00:00', 3, 'UTC'),
  MODIFY COLUMN ingested DEFAULT now64(3) + throwIf(now64(3) > notAfter, 'the insert came too late');
