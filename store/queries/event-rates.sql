/*
name: event-rates
summary: Events by interval, kind and (for requests) outcome.
parameters:
  - name: seconds
    type: UInt32
    summary: length of an interval
    default: 60
  - name: since
    type: Nullable(DateTime64(3, 'UTC'))
    summary: from this event time on
    default: null
  - name: until
    type: Nullable(DateTime64(3, 'UTC'))
    summary: up to this event time, without it
    default: null
example: { seconds: 60 }
*/
WITH greatest(toInt64({seconds:UInt32}), 1) * 1000 AS step
SELECT
  fromUnixTimestamp64Milli(intDiv(toUnixTimestamp64Milli(time), step) * step, 'UTC') AS at,
  kind, outcome, count() AS events
FROM
(
  SELECT time, 'request' AS kind, toString(outcome) AS outcome FROM requests
  UNION ALL SELECT time, 'fingerprint', '' FROM fingerprints
  UNION ALL SELECT time, 'prompt', toString(outcome) FROM prompts
  UNION ALL SELECT time, 'telemetry', '' FROM telemetry
  UNION ALL SELECT time, 'flow', '' FROM flows
  UNION ALL SELECT time, 'finding', toString(severity) FROM findings
  UNION ALL SELECT time, 'dead-letter', toString(code) FROM dead_letters
)
WHERE ({since:Nullable(DateTime64(3, 'UTC'))} IS NULL OR time >= {since:Nullable(DateTime64(3, 'UTC'))})
  AND ({until:Nullable(DateTime64(3, 'UTC'))} IS NULL OR time < {until:Nullable(DateTime64(3, 'UTC'))})
GROUP BY at, kind, outcome
ORDER BY at, kind, outcome
