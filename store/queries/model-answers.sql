/*
name: model-answers
summary: What a model answered, by version and label, with how sure it was.
parameters:
  - name: model
    type: String
    summary: the model
  - name: version
    type: Nullable(String)
    summary: only this version
    default: null
  - name: since
    type: Nullable(DateTime64(3, 'UTC'))
    summary: from this event time on
    default: null
  - name: until
    type: Nullable(DateTime64(3, 'UTC'))
    summary: up to this event time, without it
    default: null
example: { model: digits }
*/
SELECT
  version, label, count() AS answers,
  count() / sum(count()) OVER (PARTITION BY version) AS share,
  uniqExact(principal) AS principals,
  avg(confidence) AS meanConfidence, quantileExact(0.05)(confidence) AS lowConfidence,
  avg(margin) AS meanMargin, quantileExact(0.05)(margin) AS lowMargin,
  avg(entropy) AS meanEntropy, min(time) AS firstSeen, max(time) AS lastSeen
FROM fingerprints
WHERE model = {model:String}
  AND ({version:Nullable(String)} IS NULL OR version = {version:Nullable(String)})
  AND ({since:Nullable(DateTime64(3, 'UTC'))} IS NULL OR time >= {since:Nullable(DateTime64(3, 'UTC'))})
  AND ({until:Nullable(DateTime64(3, 'UTC'))} IS NULL OR time < {until:Nullable(DateTime64(3, 'UTC'))})
GROUP BY version, label
ORDER BY version, answers DESC, label
