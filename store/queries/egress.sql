/*
name: egress
summary: What serving workloads sent where, most bytes first, with how regular it was (beacons have a small variation).
parameters:
  - name: workload
    type: Nullable(String)
    summary: only this workload
    default: null
  - name: destination
    type: Nullable(String)
    summary: only this address or name
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
example: { workload: serving-a }
*/
SELECT
  workload, coalesce(destinationName, destinationAddress) AS destination, groupUniqArray(16)(destinationPort) AS ports,
  count() AS connections, sum(f.bytesOut) AS bytesOut, sum(f.bytesIn) AS bytesIn, min(time) AS firstSeen, max(time) AS lastSeen,
  avg(gap) AS meanGapSeconds, stddevPop(gap) / avg(gap) AS gapVariation
FROM
(
  SELECT *, if(row_number() OVER one = 1, NULL, dateDiff('millisecond', lagInFrame(time) OVER one, time) / 1000) AS gap
  FROM flows
  WHERE ({since:Nullable(DateTime64(3, 'UTC'))} IS NULL OR time >= {since:Nullable(DateTime64(3, 'UTC'))})
  AND ({until:Nullable(DateTime64(3, 'UTC'))} IS NULL OR time < {until:Nullable(DateTime64(3, 'UTC'))})
  WINDOW one AS (PARTITION BY workload, coalesce(destinationName, destinationAddress) ORDER BY time, id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
) AS f
WHERE ({workload:Nullable(String)} IS NULL OR workload = {workload:Nullable(String)})
  AND ({destination:Nullable(String)} IS NULL OR {destination:Nullable(String)} IN (destinationAddress, coalesce(destinationName, '')))
GROUP BY workload, destination
ORDER BY bytesOut DESC, workload, destination
LIMIT {limit:UInt32}
