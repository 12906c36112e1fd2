/*
name: unseen
summary: Whether we were watching - each gap as it was last stated, with its bounds, whether who is asked about lay in it, and when that is not known.
parameters:
  - name: principal
    type: Nullable(String)
    summary: only gaps in which requests or answers of this principal may lie
    default: null
  - name: model
    type: Nullable(String)
    summary: only gaps in which requests to this model may lie
    default: null
  - name: workload
    type: Nullable(String)
    summary: only gaps in which flows of this workload may lie; with a principal or model, those too
    default: null
  - name: from
    type: Nullable(DateTime64(3, 'UTC'))
    summary: from this event time on; 24 hours before the end where it is not given
    default: null
  - name: until
    type: Nullable(DateTime64(3, 'UTC'))
    summary: up to this event time; now where it is not given
    default: null
  - name: limit
    type: UInt32
    summary: most rows
    default: 1000
example: { principal: alice, model: digits }
*/
-- A key lies in partition murmur2(key) % partitions, as Kafka's clients have it, so a gap of another partition cannot concern it.
-- Requests are keyed by principal, fingerprints and prompts by model, flows by workload. Where a gap names all whom it concerns, that is exact.
WITH
  coalesce({until:Nullable(DateTime64(3, 'UTC'))}, now64(3, 'UTC')) AS askedUntil,
  coalesce({from:Nullable(DateTime64(3, 'UTC'))}, askedUntil - toIntervalHour(24)) AS askedFrom,
  -- part: known
  {principal:Nullable(String)} AS who,
  {model:Nullable(String)} AS which,
  {workload:Nullable(String)} AS whence,
  -- part: stated
  gaps AS
  (
    SELECT
      kind, begins, ends, open, events,
      JSONExtractString(evidence, 'topic') AS gapTopic,
      if(JSONHas(evidence, 'partition'), JSONExtractUInt(evidence, 'partition'), NULL) AS gapPartition,
      if(JSONHas(evidence, 'partitions'), JSONExtractUInt(evidence, 'partitions'), NULL) AS gapPartitions,
      if(detector = 'coverage', JSONExtractString(evidence, 'node'), JSONExtractString(evidence, 'source')) AS origin,
      JSONExtract(evidence, 'principals', 'Array(String)') AS principals,
      JSONExtract(evidence, 'keys', 'Array(String)') AS keys,
      kind IN ('late', 'unverifiable', 'clamped', 'skewed') AND JSONHas(evidence, 'morePrincipals') AND NOT JSONExtractBool(evidence, 'morePrincipals') AS allPrincipals,
      kind IN ('late', 'unverifiable', 'clamped', 'skewed') AND JSONHas(evidence, 'moreKeys') AND NOT JSONExtractBool(evidence, 'moreKeys') AS allKeys,
      concat(toString(events), if(events = 1, ' event', ' events'), ' of ', gapTopic, '/', toString(gapPartition)) AS these,
      if(kind = 'skewed', JSONExtractInt(evidence, 'skewMs'), 0) AS skewMs,
      multiIf(
        kind = 'late', concat(these, ' came later than the lateness bound, so that order was lost'),
        kind = 'unverifiable', concat(these, ' came so late that a repetition would have passed for new'),
        kind = 'clamped', concat(these, ' claimed a time far ahead of the stream, and did not get it'),
        kind = 'skewed', concat(these, ' came by a clock that is off, worst that of ', origin, ': ', toString(abs(skewMs) / 1000), ' s ', if(skewMs > 0, 'ahead', 'behind'), ', and got the time by the log'),
        kind = 'evicted', concat('what was known of ', toString(events), if(events = 1, ' key', ' keys'), ' was given up, since there were too many: ', arrayStringConcat(JSONExtract(evidence, 'detectors', 'Array(String)'), ', ')),
        kind = 'threw', concat('a detector failed on ', these, ', and forgot what it knew of their keys: ', arrayStringConcat(JSONExtract(evidence, 'detectors', 'Array(String)'), ', ')),
        kind = 'unapplied', concat('the detector host itself failed on ', these, ', which not all detectors saw'),
        kind = 'lagged', concat(these, if(events = 1, ' was', ' were'), ' seen late, by up to ', toString(JSONExtractInt(evidence, 'worstMs') / 1000), ' s'),
        kind = 'retention', concat(these, if(events = 1, ' was', ' were'), ' removed from the log unseen'),
        kind = 'forgotten', concat('what the detectors knew of ', gapTopic, '/', toString(gapPartition), ' was lost with its snapshot, and its records up to ', toString(JSONExtractUInt(evidence, 'lastOffset')), ' are no longer on the log'),
        kind = 'silent' AND open, concat('node ', origin, ' sends nothing'),
        kind = 'silent', concat('node ', origin, ' sent nothing'),
        kind = 'delayed', concat('what happened on node ', origin, ' was seen, but late'),
        kind = 'restarted', concat('node ', origin, ' began again without an orderly stop; what it had not sent may be lost'),
        kind = 'dropped', concat('node ', origin, ' lost ', if(JSONExtractBool(evidence, 'exact'), '', 'at least '), toString(events), if(events = 1, ' event', ' events')),
        kind = 'ungoverned', concat('node ', origin, ' could not read what it is to enforce'),
        title
      ) AS sentence,
      finding, revision
    FROM stated
  ),
  -- Neither watched, nor stated not to be: all the rest of the time, up to now.
  accounted AS
  (
    SELECT a, max(b) OVER (ORDER BY a, b ROWS UNBOUNDED PRECEDING) AS reached
    FROM
    (
      SELECT fromMs AS a, fromMs AS b
      UNION ALL
      SELECT one.2, one.3 FROM (SELECT arrayJoin(heard) AS one)
      UNION ALL
      SELECT toUnixTimestamp64Milli(greatest(begins, askedFrom)), if(open, untilMs, toUnixTimestamp64Milli(least(ends, askedUntil)))
      FROM gaps
      WHERE kind = 'silent'
    )
  ),
  unknown AS
  (
    SELECT reached AS begins, least(nowMs, leadInFrame(a, 1, untilMs) OVER (ORDER BY a, reached ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)) AS ends
    FROM accounted
  ),
  unread AS
  (
    SELECT fromTopic, fromPartition, code, uniqExact(fromOffset, value) AS records, min(time) AS begins, max(time) AS ends, any(reason) AS why, groupUniqArray(32)(assumeNotNull(key)) AS named
    FROM dead_letters
    WHERE time >= askedFrom AND time < askedUntil
      AND (who IS NULL OR fromTopic != 'requests' OR key IS NULL OR key = who)
      AND (which IS NULL OR fromTopic NOT IN ('fingerprints', 'prompts') OR key IS NULL OR key = which)
      AND (whence IS NULL OR fromTopic != 'flows' OR key IS NULL OR key = whence)
    GROUP BY fromTopic, fromPartition, code
  ),
  ledger AS
  (
    SELECT
      *,
      multiIf(
        who IS NULL AND which IS NULL AND whence IS NULL, true,
        gapTopic = 'requests', (who IS NOT NULL OR which IS NOT NULL) AND (who IS NULL OR kafkaMurmurHash(assumeNotNull(who)) % gapPartitions = gapPartition),
        gapTopic IN ('fingerprints', 'prompts'), (who IS NOT NULL OR which IS NOT NULL) AND (which IS NULL OR kafkaMurmurHash(assumeNotNull(which)) % gapPartitions = gapPartition),
        gapTopic = 'flows', whence IS NOT NULL AND kafkaMurmurHash(assumeNotNull(whence)) % gapPartitions = gapPartition,
        who IS NOT NULL OR which IS NOT NULL
      ) AS inPartition,
      who IS NOT NULL AND gapTopic IN ('requests', 'fingerprints', 'prompts') AND allPrincipals AND NOT has(principals, assumeNotNull(who)) AS withoutWho,
      which IS NOT NULL AND gapTopic IN ('fingerprints', 'prompts') AND allKeys AND NOT has(keys, assumeNotNull(which)) AS withoutWhich,
      whence IS NOT NULL AND gapTopic = 'flows' AND allKeys AND NOT has(keys, assumeNotNull(whence)) AS withoutWhence,
      -- State is kept by model and principal, or by workload.
      who IS NULL OR has(principals, assumeNotNull(who)) OR arrayExists(key -> (key = who AND gapTopic = 'requests') OR endsWith(key, concat('/', assumeNotNull(who))), keys) AS hasWho,
      which IS NULL OR arrayExists(key -> key = which OR startsWith(key, concat(assumeNotNull(which), '/')), keys) AS hasWhich,
      whence IS NULL OR has(keys, assumeNotNull(whence)) AS hasWhence
    FROM gaps
  )
SELECT kind, CAST(has(blindKinds, kind) AS Bool) AS blind, from, until, affected, topic, partition, partitions, count, source, sentence, finding, revision FROM
(
  SELECT
    kind, begins AS from, if(open, NULL, ends) AS until,
    if(if(gapTopic = 'flows', hasWhence, hasWho AND hasWhich), 'certainly', 'possibly') AS affected,
    gapTopic AS topic, gapPartition AS partition, gapPartitions AS partitions, events AS count, origin AS source, sentence, finding, revision
  FROM ledger
  WHERE inPartition AND NOT withoutWho AND NOT withoutWhich AND NOT withoutWhence
  UNION ALL
  SELECT
    'unreadable', begins, ends,
    if(coalesce(has(named, multiIf(fromTopic = 'requests', who, fromTopic IN ('fingerprints', 'prompts'), which, fromTopic = 'flows', whence, NULL)), who IS NULL AND which IS NULL AND whence IS NULL), 'certainly', 'possibly'),
    fromTopic, fromPartition, NULL, records, '', concat(toString(records), if(records = 1, ' record', ' records'), ' of ', fromTopic, '/', toString(fromPartition), ' could not be read: ', code, ', ', why), '', 0
  FROM unread
  WHERE multiIf(
    who IS NULL AND which IS NULL AND whence IS NULL, true,
    fromTopic = 'flows', whence IS NOT NULL,
    who IS NOT NULL OR which IS NOT NULL)
  UNION ALL
  SELECT
    'unknown', fromUnixTimestamp64Milli(begins, 'UTC'), fromUnixTimestamp64Milli(ends, 'UTC'), 'possibly', '', NULL, NULL, 0, '',
    'not known whether anybody was watching: nothing that is stored shows it', '', 0
  FROM unknown
  WHERE begins < ends
)
ORDER BY from, kind, topic, partition, finding
LIMIT {limit:UInt32}
