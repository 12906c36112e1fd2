/*
name: principal-activity
summary: Everything a principal did and everything that was concluded and done about it, in order.
parameters:
  - name: principal
    type: String
    summary: whose activity
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
    default: 1000
example: { principal: alice }
*/
WITH answers AS
(
  -- What the model answered to each input of a request, without the inputs.
  SELECT request, arrayStringConcat(arrayMap(x -> concat(toString(x.2), ' at ', toString(round(x.3, 3))), arraySort(groupArray((`index`, label, confidence)))), ', ') AS labels
  FROM fingerprints
  WHERE principal = {principal:String}
  GROUP BY request
)
SELECT * FROM
(
  SELECT
    r.time AS time, 'request' AS what, r.outcome AS outcome, r.model AS model, r.version AS version,
    concat('status ', toString(r.status), ', ', if(r.operation = 'infer', concat(toString(r.items), ' items'),
      concat(r.operation, if(r.streamed, ' streamed', ''), ', ', toString(r.tokensIn), ' tokens in, ', toString(r.tokensOut), ' out',
        if(empty(r.finishReasons), '', concat(', ', arrayStringConcat(arrayMap(reason -> toString(reason), r.finishReasons), ' '))))), if(a.labels = '', '', concat(', answered ', a.labels))) AS detail,
    r.keyId AS keyId, r.lease AS lease, toString(r.id) AS id
  FROM requests AS r
  LEFT JOIN answers AS a ON a.request = r.id
  WHERE r.principal = {principal:String}
  UNION ALL
  SELECT raisedAt, 'finding', severity, coalesce(model, ''), NULL, concat(detector, ': ', title), NULL, NULL, finding
  FROM findings_latest
  WHERE has(principals, {principal:String})
  UNION ALL
  SELECT time, 'action', state, '', NULL, concat(responder, ' on ', target, ': ', if(note = '', reason, note)), NULL, NULL, action
  FROM actions
  WHERE target = concat('principal:', {principal:String})
    OR target IN (SELECT concat('key:', assumeNotNull(keyId)) FROM requests WHERE principal = {principal:String} AND keyId IS NOT NULL)
  UNION ALL
  SELECT time, 'containment', state, '', NULL, concat(action, ' until ', toString(until), ': ', reason), NULL, lease, lease
  FROM containments
  WHERE target = concat('principal:', {principal:String})
    OR target IN (SELECT concat('key:', assumeNotNull(keyId)) FROM requests WHERE principal = {principal:String} AND keyId IS NOT NULL)
)
WHERE ({since:Nullable(DateTime64(3, 'UTC'))} IS NULL OR time >= {since:Nullable(DateTime64(3, 'UTC'))})
  AND ({until:Nullable(DateTime64(3, 'UTC'))} IS NULL OR time < {until:Nullable(DateTime64(3, 'UTC'))})
ORDER BY time, what, id
LIMIT {limit:UInt32}
