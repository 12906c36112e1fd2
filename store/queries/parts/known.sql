  -- What shows that somebody was watching. A node vouches for the time between two of its samples that are not so far apart that it
  -- counts as silent (three intervals), nor an orderly stop and a start; after its newest sample, until the next is overdue. Where no
  -- node is heard in all the time asked about, requests and flows vouch for the time between two of them a minute apart at most.
  toUnixTimestamp64Milli(askedFrom) AS fromMs,
  toUnixTimestamp64Milli(askedUntil) AS untilMs,
  toUnixTimestamp64Milli(now64(3, 'UTC')) AS nowMs,
  sampled AS
  (
    SELECT node, toUnixTimestamp64Milli(time) AS at, at + 3 * toInt64(everyMs) AS due, closing
    FROM telemetry
    WHERE time >= askedFrom - toIntervalMinute(10) AND time < askedUntil + toIntervalMinute(10)
  ),
  stored AS
  (
    SELECT min(at) AS first, max(at) AS last
    FROM
    (
      SELECT toUnixTimestamp64Milli(time) AS at
      FROM (SELECT time FROM requests UNION ALL SELECT time FROM flows)
      WHERE (SELECT count() FROM sampled) = 0 AND time >= askedFrom - toIntervalMinute(1) AND time < askedUntil + toIntervalMinute(1)
    )
    GROUP BY intDiv(at, 10000)
  ),
  vouched AS
  (
    SELECT node AS voucher, greatest(at, fromMs) AS a, least(untilMs, multiIf(closing, at, next > 0, if(next <= due, next, at), nowMs <= due, nowMs, at)) AS b
    FROM (SELECT *, leadInFrame(at) OVER (PARTITION BY node ORDER BY at ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS next FROM sampled)
    WHERE a < b
    UNION ALL
    SELECT '', greatest(first, fromMs) AS a, least(untilMs, if(next > 0 AND next <= last + 60000, next, last)) AS b
    FROM (SELECT *, leadInFrame(first) OVER (ORDER BY first ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS next FROM stored)
    WHERE a < b
  ),
  -- (node or '', from, until) in milliseconds; no two of one node touch.
  (
    SELECT groupArray((voucher, a, b))
    FROM
    (
      SELECT voucher, min(a) AS a, max(b) AS b
      FROM
      (
        SELECT *, sum(fresh) OVER (PARTITION BY voucher ORDER BY a ROWS UNBOUNDED PRECEDING) AS stretch
        FROM (SELECT *, a != lagInFrame(b) OVER (PARTITION BY voucher ORDER BY a ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS fresh FROM vouched)
      )
      GROUP BY voucher, stretch
    )
  ) AS heard,
