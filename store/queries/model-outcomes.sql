/*
name: model-outcomes
summary: How requests to a model ended, by version and outcome.
parameters:
  - name: model
    type: String
    summary: the model
  - name: since
    type: Nullable(DateTime64(3, 'UTC'))
    summary: from this event time on
    default: null
  - name: until
    type: Nullable(DateTime64(3, 'UTC'))
    summary: up to this event time, without it
    default: null
example: { model: digits }
*/
SELECT
  version, outcome, hardening, count() AS requests, sum(items) AS inputs, uniqExact(principal) AS principals,
  avg(durationMs) AS meanMs, quantileExact(0.99)(durationMs) AS p99Ms, avg(confidence) AS meanConfidence
FROM requests
WHERE model = {model:String}
  AND ({since:Nullable(DateTime64(3, 'UTC'))} IS NULL OR time >= {since:Nullable(DateTime64(3, 'UTC'))})
  AND ({until:Nullable(DateTime64(3, 'UTC'))} IS NULL OR time < {until:Nullable(DateTime64(3, 'UTC'))})
GROUP BY version, outcome, hardening
ORDER BY version NULLS LAST, requests DESC, outcome, hardening
