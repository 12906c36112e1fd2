/*
name: coverage
summary: How much of a time is known of, how much of it was watched, by topic, and how much of their time the nodes were heard.
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
-- `known` is the part of the time that something shows what went on in: somebody was watching, or it is stated that nobody was.
-- `watched` is the part that was watched: known, and not one in which something was not seen at all; `undisturbed` leaves out also what was
-- seen late or judged with less than there was to know. A gap of one partition of four counts a quarter; of a node's time only
-- that counts in which it is known to have run, or to have been missing.
WITH
  coalesce({until:Nullable(DateTime64(3, 'UTC'))}, now64(3, 'UTC')) AS askedUntil,
  coalesce({from:Nullable(DateTime64(3, 'UTC'))}, askedUntil - toIntervalHour(24)) AS askedFrom,
  -- part: known
  -- The same, whoever vouches, and whichever node does.
  (
    SELECT groupArray((a, b))
    FROM
    (
      SELECT min(a) AS a, max(b) AS b
      FROM
      (
        SELECT *, sum(fresh) OVER (ORDER BY a, b ROWS UNBOUNDED PRECEDING) AS stretch
        FROM
        (
          SELECT a, b, a > max(b) OVER (ORDER BY a, b ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS fresh
          FROM (SELECT arrayJoin(heard) AS one, one.2 AS a, one.3 AS b)
        )
      )
      GROUP BY stretch
    )
  ) AS watching,
  arrayFilter(one -> one.1 != '', heard) AS nodesHeard,
  if(empty(nodesHeard), arrayResize(watching, 0), watching) AS nodesWatching,
  -- part: stated
  gaps AS
  (
    SELECT
      if(detector = 'coverage', 'nodes', JSONExtractString(evidence, 'topic')) AS subject,
      if(detector = 'coverage', JSONExtractString(evidence, 'node'), JSONExtractRaw(evidence, 'partition')) AS part,
      greatest(1, JSONExtractUInt(evidence, 'partitions')) AS parts,
      events,
      has(blindKinds, kind) AS blind,
      toUnixTimestamp64Milli(greatest(begins, askedFrom)) AS a,
      toUnixTimestamp64Milli(if(open, askedUntil, least(ends, askedUntil))) AS b
    FROM stated
  ),
  -- Each partition and each node by itself, and `anywhere` all nodes as one. Gaps of one overlap; each moment counts once.
  pieces AS
  (
    SELECT
      *, greatest(0, b - begin) AS ms,
      arraySum(one -> greatest(0, least(b, one.2) - greatest(begin, one.1)), multiIf(
        subject != 'nodes', watching,
        class = 'anywhere', nodesWatching,
        arrayMap(one -> (one.2, one.3), arrayFilter(one -> one.1 = part, heard)))) AS vouchedMs
    FROM
    (
      SELECT *, greatest(a, max(b) OVER (PARTITION BY subject, class, place ORDER BY a, b ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)) AS begin
      FROM (SELECT *, arrayJoin(if(blind, ['blind', 'anywhere', 'any'], ['any'])) AS class, if(class = 'anywhere', '', part) AS place FROM gaps)
    )
  ),
  summed AS
  (
    SELECT
      subject, countIf(class = 'any') AS gapCount, sumIf(events, class = 'any') AS eventCount, max(parts) AS partitionCount, groupUniqArray(part) AS named,
      sumIf(ms, class = 'blind') AS blindMs, sumIf(vouchedMs, class = 'blind') AS blindVouchedMs, minIf(begin, class = 'blind' AND ms > 0) AS firstBlind,
      sumIf(ms - vouchedMs, class = 'anywhere') AS missedMs, sumIf(vouchedMs, class = 'any') AS disturbedMs
    FROM pieces
    GROUP BY subject
  ),
  measured AS
  (
    SELECT
      s.subject AS subject, s.subject = 'nodes' AS ofNodes, c.gapCount AS gaps, c.eventCount AS events,
      greatest(1, if(ofNodes, length(arrayDistinct(arrayConcat(c.named, arrayMap(one -> one.1, nodesHeard)))), greatest(c.partitionCount, length(c.named)))) AS parts,
      if(ofNodes, arraySum(one -> one.3 - one.2, nodesHeard), parts * arraySum(one -> one.2 - one.1, watching)) AS vouchedMs,
      -- What is known of, of all partitions or nodes together.
      vouchedMs + c.blindMs - c.blindVouchedMs AS whole,
      (vouchedMs - c.blindVouchedMs) / whole AS watchedShare,
      (vouchedMs - c.disturbedMs) / whole AS undisturbedShare,
      if(ofNodes, arraySum(one -> one.2 - one.1, nodesWatching) + c.missedMs, whole / parts) AS knownMs,
      arrayMin(arrayFilter(at -> at > 0, arrayConcat([c.firstBlind], arrayMap(one -> one.1, if(ofNodes, nodesWatching, watching))))) AS first
    FROM (SELECT arrayJoin(['fingerprints', 'flows', 'nodes', 'prompts', 'requests', 'telemetry']) AS subject) AS s
    LEFT JOIN summed AS c ON c.subject = s.subject
  )
SELECT
  subject,
  dateDiff('millisecond', askedFrom, askedUntil) / 1000 AS seconds,
  parts,
  round(knownMs / 1000 / seconds, 6) AS known,
  if(knownMs = 0, NULL, round(knownMs / 1000 / seconds * watchedShare, 6)) AS watched,
  if(knownMs = 0, NULL, round(knownMs / 1000 / seconds * undisturbedShare, 6)) AS undisturbed,
  gaps,
  events,
  multiIf(
    knownMs = 0, 'not known',
    knownMs >= untilMs - fromMs, '',
    knownMs >= untilMs - first, concat('not known before ', formatDateTime(fromUnixTimestamp64Milli(first, 'UTC'), '%FT%TZ')),
    concat('not known for ', toString(round((untilMs - fromMs - knownMs) / 1000, 3)), ' s')) AS note
FROM measured
ORDER BY subject
