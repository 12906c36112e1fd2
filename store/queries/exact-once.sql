/*
name: exact-once
summary: Whether every event is stored once - rows against ids, and offsets of the bus without a row.
*/
-- Offsets without a row are ticks, tombstones, terms, duplicates of stored events and dead letters; `deadLetters` counts the last.
WITH
  stored AS
  (
    SELECT topic, `partition`, `offset`, id FROM requests
    UNION ALL SELECT topic, `partition`, `offset`, id FROM fingerprints
    UNION ALL SELECT topic, `partition`, `offset`, id FROM telemetry
    UNION ALL SELECT topic, `partition`, `offset`, id FROM flows
    UNION ALL SELECT topic, `partition`, `offset`, id FROM findings
    UNION ALL SELECT topic, `partition`, `offset`, id FROM incidents
    UNION ALL SELECT topic, `partition`, `offset`, id FROM actions
    UNION ALL SELECT topic, `partition`, `offset`, id FROM containments
    UNION ALL SELECT topic, `partition`, `offset`, id FROM acknowledgements
    UNION ALL SELECT topic, `partition`, `offset`, id FROM commands
    UNION ALL SELECT topic, `partition`, `offset`, id FROM outcomes
    UNION ALL SELECT topic, `partition`, `offset`, id FROM dead_letters
  ),
  totals AS (SELECT topic, count() - uniqExact(id) AS twice FROM stored GROUP BY topic),
  letters AS (SELECT fromTopic, fromPartition, uniqExact(fromOffset) AS unread FROM dead_letters GROUP BY fromTopic, fromPartition)
SELECT
  s.topic AS topic, s.`partition` AS `partition`, count() AS rows, uniqExact(s.id) AS ids, rows - ids AS duplicates, any(t.twice) AS duplicatesInTopic,
  min(s.`offset`) AS firstOffset, max(s.`offset`) AS lastOffset, lastOffset - firstOffset + 1 - uniqExact(s.`offset`) AS withoutRow, any(d.unread) AS deadLetters
FROM stored AS s
INNER JOIN totals AS t ON t.topic = s.topic
LEFT JOIN letters AS d ON d.fromTopic = s.topic AND d.fromPartition = s.`partition`
GROUP BY topic, `partition`
ORDER BY topic, `partition`
