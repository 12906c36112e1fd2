/*
name: findings
summary: What detectors saw, newest first, each episode as it was last stated.
parameters:
  - name: principal
    type: Nullable(String)
    summary: only about this principal
    default: null
  - name: detector
    type: Nullable(String)
    summary: only of this detector
    default: null
  - name: since
    type: Nullable(DateTime64(3, 'UTC'))
    summary: from this event time on
    default: null
  - name: until
    type: Nullable(DateTime64(3, 'UTC'))
    summary: up to this event time, without it
    default: null
  - name: limit
    type: UInt32
    summary: most rows
    default: 200
example: { detector: near-duplicate-probing }
*/
SELECT
  raisedAt AS time, finding AS id, revision, detector, version, scope, severity, confidence, threats, principals, organizations, model, workload, pool,
  title, evidence, windowFrom, windowUntil, eventsSeen, decidedBy
FROM findings_latest
WHERE ({principal:Nullable(String)} IS NULL OR has(principals, assumeNotNull({principal:Nullable(String)})))
  AND ({detector:Nullable(String)} IS NULL OR detector = {detector:Nullable(String)})
  AND ({since:Nullable(DateTime64(3, 'UTC'))} IS NULL OR raisedAt >= {since:Nullable(DateTime64(3, 'UTC'))})
  AND ({until:Nullable(DateTime64(3, 'UTC'))} IS NULL OR raisedAt < {until:Nullable(DateTime64(3, 'UTC'))})
ORDER BY raisedAt DESC, finding
LIMIT {limit:UInt32}
