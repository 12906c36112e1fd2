/*
name: cost
summary: Requests, inputs, tokens and cost, dearest first.
parameters:
  - name: by
    type: String
    summary: what to add up by
    default: principal
    choices: [principal, key, organization, model]
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
    default: 100
example: { by: organization }
*/
SELECT
  multiIf({by:String} = 'key', coalesce(keyId, 'none'), {by:String} = 'organization', coalesce(organization, 'none'), {by:String} = 'model', model, principal) AS subject,
  count() AS requests, countIf(outcome = 'served') AS served, sum(items) AS inputs, sum(requests.tokensIn) AS tokensIn, sum(requests.tokensOut) AS tokensOut,
  countIf(tokenCount = 'estimated') AS estimated,
  sum(requests.cost) AS cost, sum(requests.bytesIn) AS bytesIn, sum(requests.bytesOut) AS bytesOut, min(time) AS firstSeen, max(time) AS lastSeen
FROM requests
WHERE ({since:Nullable(DateTime64(3, 'UTC'))} IS NULL OR time >= {since:Nullable(DateTime64(3, 'UTC'))})
  AND ({until:Nullable(DateTime64(3, 'UTC'))} IS NULL OR time < {until:Nullable(DateTime64(3, 'UTC'))})
GROUP BY subject
ORDER BY cost DESC, inputs DESC, subject
LIMIT {limit:UInt32}
