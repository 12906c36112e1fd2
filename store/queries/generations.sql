/*
name: generations
summary: What language models were asked and answered, by model and principal, most tokens first; never the texts.
parameters:
  - name: model
    type: Nullable(String)
    summary: only this model
    default: null
  - name: principal
    type: Nullable(String)
    summary: only this principal
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
    default: 100
example: { model: prose }
*/
WITH sumMap(arrayMap(reason -> toString(reason), finishReasons), arrayMap(reason -> toUInt64(1), finishReasons)) AS reasons
SELECT
  model, principal, count() AS requests, countIf(outcome = 'served') AS served, countIf(outcome = 'aborted') / count() AS abortedShare,
  countIf(streamed) AS streams, sum(requests.tokensIn) AS tokensIn, sum(requests.tokensOut) AS tokensOut,
  -- Where nobody said how many tokens there were, the node counted what it saw pass.
  countIf(tokenCount = 'estimated') AS estimated, sum(requests.cost) AS cost,
  quantileExact(0.5)(firstTokenMs) AS firstTokenP50Ms, quantileExact(0.95)(firstTokenMs) AS firstTokenP95Ms,
  arrayStringConcat(arrayMap((reason, times) -> concat(reason, ' ', toString(times)), reasons.1, reasons.2), ', ') AS finished,
  sum(requests.toolCalls) AS toolCalls, max(requests.topLogprobs) AS topLogprobs, max(requests.choices) AS choices,
  uniqExact(endpoint) AS endpoints, uniqExact(configuration) AS configurations, min(time) AS firstSeen, max(time) AS lastSeen
FROM requests
WHERE operation != 'infer'
  AND ({model:Nullable(String)} IS NULL OR model = {model:Nullable(String)})
  AND ({principal:Nullable(String)} IS NULL OR principal = {principal:Nullable(String)})
  AND ({since:Nullable(DateTime64(3, 'UTC'))} IS NULL OR time >= {since:Nullable(DateTime64(3, 'UTC'))})
  AND ({until:Nullable(DateTime64(3, 'UTC'))} IS NULL OR time < {until:Nullable(DateTime64(3, 'UTC'))})
GROUP BY model, principal
ORDER BY tokensIn + tokensOut DESC, requests DESC, model, principal
LIMIT {limit:UInt32}
