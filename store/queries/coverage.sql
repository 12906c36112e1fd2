/*
name: coverage
summary: How much of a time was watched, by topic, and how much of their time the nodes were heard.
parameters:
  - name: from
    type: Nullable(DateTime64(3, 'UTC'))
    summary: from this event time on; 24 hours before the end where it is not given
    default: null
  - name: until
    type: Nullable(DateTime64(3, 'UTC'))
    summary: up to this event time; now where it is not given
    default: null
example: { from: "2026-01-01T00:00:00Z", until: "2026-01-02T00:00:00Z" }
*/
-- A gap of one partition of four counts a quarter, a silent node among ten a tenth. `watched` leaves out the time in which something
-- was not seen at all; `undisturbed` also that in which it was seen late or judged with less than there was to know.
WITH
  coalesce({until:Nullable(DateTime64(3, 'UTC'))}, now64(3, 'UTC')) AS askedUntil,
  coalesce({from:Nullable(DateTime64(3, 'UTC'))}, askedUntil - toIntervalHour(24)) AS askedFrom,
  stated AS
  (
    SELECT *
    FROM findings
    WHERE detector IN ('blindness', 'coverage')
    ORDER BY finding, revision DESC, `offset` DESC
    LIMIT 1 BY finding
  ),
  gaps AS
  (
    SELECT
      if(detector = 'coverage', 'nodes', JSONExtractString(evidence, 'topic')) AS subject,
      if(detector = 'coverage', JSONExtractString(evidence, 'node'), JSONExtractRaw(evidence, 'partition')) AS part,
      greatest(1, JSONExtractUInt(evidence, 'partitions')) AS parts,
      JSONExtractUInt(evidence, 'count') AS events,
      JSONExtractString(evidence, 'kind') IN ('retention', 'silent', 'restarted', 'dropped') AS blind,
      if(JSONHas(evidence, 'earliest'), least(windowFrom, fromUnixTimestamp64Milli(JSONExtractInt(evidence, 'earliest'), 'UTC')), windowFrom) AS begins,
      if(JSONHas(evidence, 'latest'), greatest(windowUntil, fromUnixTimestamp64Milli(JSONExtractInt(evidence, 'latest'), 'UTC')), windowUntil) AS ends,
      JSONExtractBool(evidence, 'open') AS open,
      toUnixTimestamp64Milli(greatest(begins, askedFrom)) AS a,
      toUnixTimestamp64Milli(if(open, askedUntil, least(ends, askedUntil))) AS b
    FROM stated
    WHERE begins < askedUntil AND (open OR ends >= askedFrom)
  ),
  -- Gaps of one partition or node overlap; each moment counts once.
  covered AS
  (
    SELECT subject, part, class, greatest(0, b - greatest(a, max(b) OVER (PARTITION BY subject, part, class ORDER BY a, b ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING))) AS ms
    FROM (SELECT *, arrayJoin(if(blind, ['blind', 'any'], ['any'])) AS class FROM gaps)
  ),
  lost AS (SELECT subject, sumIf(ms, class = 'blind') AS blindMs, sumIf(ms, class = 'any') AS anyMs FROM covered GROUP BY subject),
  counted AS (SELECT subject, count() AS gapCount, sum(events) AS eventCount, max(parts) AS partitionCount, uniqExact(part) AS partCount FROM gaps GROUP BY subject),
  heard AS (SELECT uniqExact(node) AS nodes FROM telemetry WHERE time >= askedFrom AND time < askedUntil),
  subjects AS (SELECT arrayJoin(['fingerprints', 'flows', 'nodes', 'prompts', 'requests', 'telemetry']) AS subject)
SELECT
  s.subject AS subject,
  dateDiff('millisecond', askedFrom, askedUntil) / 1000 AS seconds,
  greatest(1, if(s.subject = 'nodes', greatest((SELECT nodes FROM heard), c.partCount), c.partitionCount)) AS parts,
  round(1 - l.blindMs / 1000 / seconds / parts, 6) AS watched,
  round(1 - l.anyMs / 1000 / seconds / parts, 6) AS undisturbed,
  c.gapCount AS gaps,
  c.eventCount AS events
FROM subjects AS s
LEFT JOIN lost AS l ON l.subject = s.subject
LEFT JOIN counted AS c ON c.subject = s.subject
ORDER BY subject
