/*
name: audit-keys
summary: Public keys that the logs of the audit trail state. Whoever can write to the store can state others, so compare them with the writers' own.
example: {}
*/
SELECT writer, log, min(seq) AS since, JSONExtractString(text, 'publicKey') AS publicKey
FROM audit
WHERE form = 'record' AND kind IN ('opened', 'key')
GROUP BY writer, log, publicKey
ORDER BY writer, log, since
