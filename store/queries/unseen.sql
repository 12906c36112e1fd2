/*
name: unseen
summary: What went unseen - events that nodes lost, records that could not be read, nodes that fell silent, events that came late.
parameters:
  - name: since
    type: Nullable(DateTime64(3, 'UTC'))
    summary: from this event time on
    default: null
  - name: until
    type: Nullable(DateTime64(3, 'UTC'))
    summary: up to this event time, without it
    default: null
  - name: silentAfterSeconds
    type: UInt32
    summary: a node without telemetry for so long is silent
    default: 60
  - name: lateAfterSeconds
    type: UInt32
    summary: an event stored so long after it happened came late
    default: 300
example: { silentAfterSeconds: 60 }
*/
SELECT * FROM
(
  SELECT 'dropped' AS what, node AS subject, sum(lost) AS events, min(time) AS firstSeen, max(time) AS lastSeen, 'events that the node lost because its spool was full or its disk refused' AS detail
  FROM
  (
    -- Counters begin at 0 again when the process does, so a fall is a new beginning.
    SELECT node, time, toUInt64(if(dropped >= before, dropped - before, dropped)) AS lost
    FROM (SELECT node, time, dropped, lagInFrame(dropped, 1, 0) OVER (PARTITION BY node ORDER BY time, id ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS before FROM telemetry)
  )
  WHERE lost > 0 AND ({since:Nullable(DateTime64(3, 'UTC'))} IS NULL OR time >= {since:Nullable(DateTime64(3, 'UTC'))})
  AND ({until:Nullable(DateTime64(3, 'UTC'))} IS NULL OR time < {until:Nullable(DateTime64(3, 'UTC'))})
  GROUP BY node
  UNION ALL
  SELECT 'unreadable', fromTopic, count(), min(time), max(time), concat(code, ': ', any(reason))
  FROM dead_letters
  WHERE ({since:Nullable(DateTime64(3, 'UTC'))} IS NULL OR time >= {since:Nullable(DateTime64(3, 'UTC'))})
  AND ({until:Nullable(DateTime64(3, 'UTC'))} IS NULL OR time < {until:Nullable(DateTime64(3, 'UTC'))})
  GROUP BY fromTopic, code
  UNION ALL
  SELECT 'silent', node, 0, min(time), max(telemetry.time) AS lastTime, 'no telemetry since'
  FROM telemetry
  WHERE ({since:Nullable(DateTime64(3, 'UTC'))} IS NULL OR time >= {since:Nullable(DateTime64(3, 'UTC'))})
  AND ({until:Nullable(DateTime64(3, 'UTC'))} IS NULL OR time < {until:Nullable(DateTime64(3, 'UTC'))})
  GROUP BY node
  HAVING lastTime < coalesce({until:Nullable(DateTime64(3, 'UTC'))}, now64(3, 'UTC')) - toIntervalSecond({silentAfterSeconds:UInt32})
  UNION ALL
  SELECT 'late', topic, count(), min(time), max(time), concat('stored up to ', toString(round(max(dateDiff('second', time, ingested)))), ' s after they happened')
  FROM
  (
    SELECT topic, time, ingested FROM requests
    UNION ALL SELECT topic, time, ingested FROM fingerprints
    UNION ALL SELECT topic, time, ingested FROM flows
    UNION ALL SELECT topic, time, ingested FROM telemetry
  )
  WHERE ({since:Nullable(DateTime64(3, 'UTC'))} IS NULL OR time >= {since:Nullable(DateTime64(3, 'UTC'))})
  AND ({until:Nullable(DateTime64(3, 'UTC'))} IS NULL OR time < {until:Nullable(DateTime64(3, 'UTC'))}) AND dateDiff('second', time, ingested) > {lateAfterSeconds:UInt32}
  GROUP BY topic
)
ORDER BY what, subject, detail
