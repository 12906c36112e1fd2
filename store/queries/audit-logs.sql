/*
name: audit-logs
summary: Logs of the audit trail, with what is there of each.
example: {}
*/
SELECT
  writer, log, countIf(form = 'record') AS records, maxIf(seq, form = 'record') + 1 AS size, countIf(form = 'checkpoint') AS checkpoints,
  maxIf(seq, form = 'checkpoint') AS signed, max(length(text)) AS longest, min(time) AS since, max(time) AS until
FROM audit
GROUP BY writer, log
ORDER BY writer, log
