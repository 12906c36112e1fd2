/*
name: containments
summary: Who was contained, why, by whom and for how long.
parameters:
  - name: target
    type: Nullable(String)
    summary: only this target, such as principal:alice
    default: null
  - name: incident
    type: Nullable(String)
    summary: only those of this incident
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
example: { target: "principal:alice" }
*/
WITH
  -- One row for each time that a lease was granted; later revisions extend or end it.
  grants AS
  (
    SELECT *
    FROM containments
    ORDER BY lease, startedAt, revision DESC, `offset` DESC
    LIMIT 1 BY lease, startedAt
  ),
  enforced AS
  (
    SELECT c.lease AS lease, c.startedAt AS startedAt, uniqExact(a.node) AS nodes, min(a.at) AS firstEnforcedAt, max(a.enforcedAfterMs) AS enforcedAfterMs
    FROM acknowledgements AS a
    INNER JOIN containments AS c ON c.lease = a.lease AND c.revision = a.revision
    GROUP BY c.lease, c.startedAt
  )
SELECT
  g.startedAt AS startedAt, g.target AS target, g.action AS action, g.reason AS reason, g.owner AS owner, g.incident AS incident,
  g.state AS state, g.until AS until, g.endedAt AS endedAt, g.endedBy AS endedBy,
  dateDiff('millisecond', g.startedAt, least(g.until, coalesce(g.endedAt, g.until))) / 1000 AS seconds,
  e.nodes AS nodes, e.enforcedAfterMs AS enforcedAfterMs, g.revision AS revision, g.lease AS lease
FROM grants AS g
LEFT JOIN enforced AS e ON e.lease = g.lease AND e.startedAt = g.startedAt
WHERE ({target:Nullable(String)} IS NULL OR g.target = {target:Nullable(String)})
  AND ({incident:Nullable(String)} IS NULL OR g.incident = {incident:Nullable(String)})
  AND ({since:Nullable(DateTime64(3, 'UTC'))} IS NULL OR g.startedAt >= {since:Nullable(DateTime64(3, 'UTC'))})
  AND ({until:Nullable(DateTime64(3, 'UTC'))} IS NULL OR g.startedAt < {until:Nullable(DateTime64(3, 'UTC'))})
ORDER BY startedAt DESC, lease
LIMIT {limit:UInt32}
