/*
name: incident-timeline
summary: An incident from its first request to its last release, in order.
parameters:
  - name: incident
    type: String
    summary: id of the incident
  - name: requests
    type: UInt32
    summary: most requests shown, the newest
    default: 500
example: { incident: 0123456789abcdef0123456789abcdef }
*/
WITH
  (
    SELECT (groupUniqArrayArray(findings), groupUniqArrayArray(principals), groupUniqArrayArray(workloads), groupUniqArrayArray(targets), max(updatedAt))
    FROM incidents WHERE incident = {incident:String}
  ) AS known,
  (SELECT min(windowFrom) FROM findings WHERE has(known.1, finding)) AS opened,
  (
    SELECT greatest(max(known.5), max(until)) FROM containments WHERE incident = {incident:String}
  ) AS ended
SELECT * FROM
(
  SELECT * FROM
  (
    SELECT time, 'request' AS what, concat('principal:', principal) AS subject, outcome AS state, concat(model, ': status ', toString(status), ', ', toString(items), ' items') AS detail, toString(id) AS id
    FROM requests
    WHERE has(known.2, principal) AND time >= opened AND time <= ended
    ORDER BY time DESC, id DESC
    LIMIT {requests:UInt32}
  )
  UNION ALL
  SELECT time, 'flow', concat('workload:', workload), protocol, concat(toString(bytesOut), ' bytes to ', coalesce(destinationName, destinationAddress), ':', toString(destinationPort)), toString(id)
  FROM (SELECT * FROM flows WHERE has(known.3, workload) AND time >= opened AND time <= ended ORDER BY time DESC, id DESC LIMIT {requests:UInt32})
  UNION ALL
  SELECT raisedAt, 'finding', scope, severity, concat(detector, ': ', title), finding
  FROM findings WHERE has(known.1, finding)
  UNION ALL
  SELECT updatedAt, 'incident', arrayStringConcat(targets, ', '), state, concat(severity, ', ', toString(findingCount), ' findings: ', title), incident
  FROM incidents WHERE incident = {incident:String}
  UNION ALL
  SELECT time, 'action', target, state, concat(responder, ': ', if(note = '', reason, note)), action
  FROM actions WHERE incident = {incident:String}
  UNION ALL
  SELECT if(state = 'active', time, coalesce(endedAt, time)), 'containment', target, state, concat(action, ' until ', toString(until), ': ', reason), lease
  FROM containments WHERE incident = {incident:String}
  UNION ALL
  SELECT a.at, 'acknowledgement', a.node, 'enforced', if(isNull(a.enforcedAfterMs), a.lease, concat(a.lease, ' after ', toString(round(a.enforcedAfterMs)), ' ms')), a.lease
  FROM acknowledgements AS a
  WHERE (a.lease, a.revision) IN (SELECT lease, revision FROM containments WHERE incident = {incident:String})
)
-- At the same millisecond, what causes comes before what follows.
ORDER BY time, indexOf(['request', 'flow', 'finding', 'incident', 'action', 'containment', 'acknowledgement'], what), id
